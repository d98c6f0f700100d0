import type { Keystead } from "../../../src/index.ts";
import { defineFields } from "../../../src/fields/field-specification.ts";
import { RecordCipher } from "../../../src/fields/record-cipher.ts";

const fields = {
  phone: { key: "pii", type: "string", plaintext: "written" },
  age: { key: "pii", type: "number", plaintext: "written" },
} as const;

/** What a row says. */
export interface Person {
  readonly id: number;
  readonly phone: string | null;
  readonly age: number | null;
}

/** Writes columns of a row, and reads it. */
export interface PersonTable {
  readonly write: (id: number, columns: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly read: (id: number) => Promise<Record<string, unknown>>;
}

/** A process of an application. It reads the dataset's definition when it is started, and never again. */
export interface PersonApplication {
  readonly write: (person: Person) => Promise<void>;
  readonly read: (id: number) => Promise<Person>;
}

/** A process of the release that knows plaintext alone. */
export function startOldRelease(table: PersonTable): PersonApplication {
  return {
    write: ({ id, ...columns }) => table.write(id, columns),
    read: async (id) => {
      const { phone, age } = await table.read(id);
      return { id, phone: typeof phone === "string" ? phone : null, age: age === null ? null : Number(age) };
    },
  };
}

/** A process of the release that writes both, and reads what the definition says. */
export async function startNewRelease(keystead: Keystead, table: PersonTable): Promise<PersonApplication> {
  const definition = await keystead.datasets.recordDefinition("crm.person");
  const cipher = new RecordCipher(defineFields(fields, definition), { pii: await keystead.open("pii", { dataset: "crm.person" }) });
  return {
    write: ({ id, ...person }) => table.write(id, cipher.encrypt({ id, ...person })),
    read: async (id) => {
      const { phone = null, age = null } = cipher.decrypt({ ...(await table.read(id)), id });
      return { id, phone, age };
    },
  };
}

/** How the dataset is registered: both columns have their plaintext beside them. */
export const shadowedColumns = {
  phone: { key: "pii", column: "phone_sealed", plaintext: "phone" },
  age: { key: "pii", column: "age_sealed", plaintext: "age" },
} as const;
