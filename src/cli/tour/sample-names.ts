/** Given and family names of one writing system. */
export interface NameList {
  readonly script: string;
  readonly given: readonly [string, ...string[]];
  readonly family: readonly [string, ...string[]];
}

function words(text: string): readonly [string, ...string[]] {
  const [first = "", ...rest] = text.split(", ");
  return [first, ...rest];
}

/** Names in Latin letters, with diacritics, apostrophes, particles, and several spellings of the same sound. */
export const latinNames: NameList = {
  script: "Latin",
  given: words(
    "Ada, Anna, Björn, Carlos, Caroline, Karoline, Catherine, Katharine, Kathryn, Chloé, Conor, Dagmar, Dov, Élodie, Emeka, Fatou, François, " +
      "Greta, Hân, Ines, İpek, Jürgen, Jonas, José, Kwame, Lars, Łucja, Maël, Marta, Mei-Ling, Ngozi, Nuria, Oisín, Olga, Pádraig, Priya, " +
      "Rania, Renée, Sören, Siân, Stephen, Steven, Tomáš, Uri, Valentina, Wanjiru, Xiomara, Yannick, Zoë, Þóra",
  ),
  family: words(
    "Meyer, Meier, Maier, Mayer, Smith, Smyth, Schmidt, Schmitt, Thompson, Thomson, Clark, Clarke, Reid, Reed, Read, Stewart, Stuart, " +
      "O'Brien, O’Brien, O Brien, D'Souza, D’Angelo, N'Diaye, van der Berg, Vanderberg, de la Cruz, McDonald, Mac Donald, Saint-Clair, " +
      "Núñez, Müller, Mueller, Ångström, Çelik, Dvořák, Łukaszewicz, Nguyễn, Okonkwo, Õunapuu, Þórsdóttir, Šimić, Żuławska",
  ),
};

/** Two halves of invented family names. */
export const latinRoots = words(
  "Ash, Bram, Cor, Dun, Eber, Fair, Gold, Hal, Iver, Jar, Kel, Lind, Mar, Nor, Ost, Penn, Quin, Ros, Sel, Thorn, Ul, Vester, Win, Yar, Zeit",
);
export const latinEndings = words(
  "berg, by, dale, dóttir, eau, ez, field, ford, gård, ić, kova, ley, man, ova, oğlu, quist, sen, ski, ström, ton, well, wood",
);

/** Names in other writing systems. */
export const otherNames: readonly [NameList, ...NameList[]] = [
  {
    script: "Arabic",
    given: words("سلمى, نور, يوسف, مريم, خالد, ليلى, عمر, هدى"),
    family: words("النجار, الحداد, الخطيب, البستاني, العطار, القمر, الزيتوني, بن سالم, أبو ريشة, المصباحي"),
  },
  {
    script: "Cyrillic",
    given: words("Анна, Борис, Вера, Григорий, Дарья, Ефим, Жанна, Олексій"),
    family: words("Берёзкин, Вымыслова, Ёлкин, Звёздная, Пробный, Примерова, Щукін, Їжак, Образцов, Тестова"),
  },
  {
    script: "Greek",
    given: words("Άννα, Βασίλης, Ελένη, Ζωή, Ίρις, Κώστας, Νίκη, Σοφία"),
    family: words("Αστέρης, Γαλανός, Δοκιμίδης, Θαλασσινός, Κυπαρίσσης, Μελισσινού, Ξανθός, Παραδειγμάκης, Χρυσός, Ωραίος"),
  },
  {
    script: "Hebrew",
    given: words("אדם, דנה, יעל, נועם, רות, שירה, תמר, אורי"),
    family: words("אלון, ברוש, דוגמא, זית, כוכבי, לבנון, ניסיון, ערבה, רימון, תפוח"),
  },
  {
    script: "Devanagari",
    given: words("अनु, कविता, गोपाल, देव, नीला, मीरा, रवि, सुमन"),
    family: words("आकाशी, उदाहरणकर, कमलकर, चाँदवाला, तारे, नदीकर, परीक्षित, मोरे, वनमाली, सागरी"),
  },
  {
    script: "Ethiopic",
    given: words("አበበ, ሰላም, ሀና, ዳዊት, ማርታ, ዮናስ, ፀሐይ, ብርሃን"),
    family: words("ምሳሌ, ኮከብ, ደመና, ጨረቃ, ወንዝ, ተራራ, አበባ, ሙከራ, ዝናብ, ንጋት"),
  },
  {
    script: "Han",
    given: words("小明, 思源, 雨桐, 一诺, 美玲, 大伟, 子轩, 静宜"),
    family: words("范, 試, 例, 歐陽, 司馬, 云, 山, 林, 水, 星"),
  },
  {
    script: "Thai",
    given: words("กานต์, ดาว, นภา, พิม, ฟ้า, มะลิ, สมชาย, อรุณ"),
    family: words("ตัวอย่าง, ทดลองดี, ดวงดาว, ใบไม้, แม่น้ำ, ภูเขาทอง, ฟ้าใส, สายรุ้ง, เมฆขาว, ทะเลงาม"),
  },
  {
    script: "Hangul",
    given: words("하늘, 바다, 지우, 민준, 서연, 도윤, 소라, 예린"),
    family: words("남궁, 독고, 선우, 제갈, 황보, 구름, 나무, 보기, 시험, 별"),
  },
  {
    script: "Tamil",
    given: words("அருண், கலா, செல்வி, தமிழ், நிலா, மலர், முருகன், வாணி"),
    family: words("ஆறுமுகம், எடுத்துக்காட்டு, கடலோன், தாமரை, நதிவாணன், மலையரசன், மேகலை, வானவில், சோதனை, விண்மீன்"),
  },
];
