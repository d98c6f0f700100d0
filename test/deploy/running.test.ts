import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chartDigest, renderChart } from "../../scripts/render-chart.ts";
import { listFiles } from "../../scripts/tools.ts";
import { parseConfiguration, serverSettings } from "../../src/cli/configuration.ts";
import { serverSettingsSchema } from "../../src/server/settings.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { readYaml, Tree } from "./support/yaml.ts";

/** How long a store that does not answer is waited for at the end, and somewhat more. */
const closingSeconds = 15;

const defaultServerSettings = serverSettingsSchema.parse({});
const { port } = defaultServerSettings;

/** What `keystead serve --help` says. */
function serveHelp(): string {
  const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
  return spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", main, "serve", "--help"], { encoding: "utf8" }).stdout;
}

/** Every option of a command line is one that `keystead serve` has. */
function assertServeArguments(args: readonly string[]): void {
  expect(args[0]).toBe("serve");
  const help = serveHelp();
  for (const option of args.filter((arg) => arg.startsWith("--"))) expect(help).toContain(`  ${option} `);
}

/** Where a program is found on PATH; undefined when it is not. */
function programOnPath(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(":")
    .map((folder) => join(folder, name))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

function printReason(reason: string): void {
  process.stdout.write(`${reason}\n`);
}

describe("the Dockerfile", () => {
  const text = readFileSync("deploy/Dockerfile", "utf8").replaceAll("\\\n", " ");
  const lines = text.split("\n").filter((line) => /^[A-Z]+ /.test(line));
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));
  const of = (word: string): string[] => last.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

  it("begins with a pinned image of a Node that is new enough, named once", () => {
    const [, image = ""] = /^ARG NODE_IMAGE=(.*)$/m.exec(text) ?? [];
    const [, major, minor] = /^node:(\d+)\.(\d+)\.\d+-[a-z]+-slim$/.exec(image) ?? [];
    expect([Number(major), Number(minor)]).toEqual([24, expect.toSatisfy((value: number) => value >= 7)]);
    for (const line of lines.filter((each) => each.startsWith("FROM "))) expect(line).toMatch(/^FROM \$\{NODE_IMAGE\}(?: AS \w+)?$/);
  });

  it("runs as nobody else's user, in few layers, with a health check and no secret", () => {
    expect(of("USER")).toEqual(["10001:10001"]);
    expect(of("EXPOSE")).toEqual([String(port)]);
    expect(of("HEALTHCHECK").join()).toContain("healthcheck.mjs");
    expect(of("ADD")).toEqual([]);
    expect(lines.some((line) => /curl|wget|apt-get|sudo|chmod 777|latest/.test(line))).toBe(false);
    expect(lines.filter((line) => /^(?:ARG|ENV) /.test(line)).join()).not.toMatch(/password|secret|token|key/i);
    const copied = of("COPY").join("\n");
    expect(copied).not.toMatch(/(?:^|\s)\.(?:\s|$)/m);
    // USER comes after everything that only root may do.
    expect(last.findIndex((line) => line.startsWith("USER "))).toBeGreaterThan(last.findLastIndex((line) => line.startsWith("RUN ")));
  });

  it("starts the server with options that it has, and copies files that there are", () => {
    expect(of("ENTRYPOINT")).toEqual(['["keystead"]']);
    const args: unknown = JSON.parse(of("CMD")[0] ?? "");
    assertServeArguments(new Tree(args).list.map(({ text: arg }) => arg));
    const ignored = readFileSync("deploy/Dockerfile.dockerignore", "utf8").split("\n");
    for (const line of lines.filter((each) => each.startsWith("COPY ") && !each.includes("--from"))) {
      const sources = line
        .split(" ")
        .slice(1, -1)
        .filter((word) => !word.startsWith("--"));
      for (const source of sources) {
        expect(statSync(source, { throwIfNoEntry: false }), source).toBeDefined();
        expect(
          ignored.some((pattern) => pattern.startsWith("!") && source.startsWith(pattern.slice(1))),
          source,
        ).toBe(true);
      }
    }
  });
});

describe("the health check of the image", () => {
  const check = (url: string): Promise<number | null> =>
    new Promise((resolve) => {
      import("node:child_process")
        .then(({ spawn }) =>
          spawn(process.execPath, ["deploy/docker/healthcheck.mjs"], { env: { KEYSTEAD_HEALTH_URL: url }, stdio: "ignore" }).on(
            "exit",
            resolve,
          ),
        )
        .catch(() => resolve(null));
    });

  it("is good while the server is ready, and bad when it is not, or not there", async () => {
    let status = 200;
    const server = createServer((_request, answer) => answer.writeHead(status).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port: own } = server.address() as AddressInfo;
    expect(await check(`http://127.0.0.1:${own}/readyz`)).toBe(0);
    status = 503;
    expect(await check(`http://127.0.0.1:${own}/readyz`)).toBe(1);
    await new Promise((resolve) => server.close(resolve));
    expect(await check(`http://127.0.0.1:${own}/readyz`)).toBe(1);
    expect(await check("http://keys.example.org/readyz")).toBe(1);
  });
});

describe("compose.yaml", () => {
  const [file = new Tree(undefined)] = readYaml("deploy/compose/compose.yaml");
  const services = file.at("services").entries;

  it("has PostgreSQL, Keycloak and Keystead, pinned, without privileges, with health checks", () => {
    expect(services.map(([name]) => name)).toEqual(expect.arrayContaining(["postgres", "keycloak", "keystead"]));
    for (const [name, service] of services) {
      expect(service.at("image").text, name).toMatch(/^\$\{[A-Z]+_IMAGE:-[\w./-]+:[\w.-]+\}$/);
      expect(service.at("image").text, name).not.toContain("latest");
      expect(service.at("cap_drop").value, name).toEqual(["ALL"]);
      expect(service.at("security_opt").value, name).toContain("no-new-privileges:true");
      expect(service.at("privileged").value, name).toBeUndefined();
      const runsOn = service.at("restart").value !== undefined;
      if (runsOn) expect(service.at("healthcheck", "test").list.length, name).toBeGreaterThan(0);
      // Only what hands out the secrets is root, and has no network.
      if (service.at("user").text.startsWith("0")) expect([name, service.at("network_mode").value]).toEqual(["place-secrets", "none"]);
      else expect(Number(service.at("user").text.split(":")[0]), name).toBeGreaterThan(0);
      for (const published of service.at("ports").list) expect(published.text, name).toMatch(/^127\.0\.0\.1:/);
    }
  });

  it("has no password: secrets come from files that a script makes", () => {
    const text = readFileSync("deploy/compose/compose.yaml", "utf8");
    expect(text).not.toMatch(/password\s*[:=]\s*["']?[\w-]+["']?\s*$/im);
    const script = readFileSync("deploy/compose/make-secrets.sh", "utf8");
    for (const [, secret] of file.at("secrets").entries) {
      const [, name = ""] = /^\.\/secrets\/([\w-]+)/.exec(secret.at("file").text) ?? [];
      expect(script, name).toContain(name);
    }
    expect(readFileSync("deploy/compose/.gitignore", "utf8")).toBe("secrets/\n");
  });

  it("starts the server with options that it has, on the port of the settings, which are good", () => {
    const keystead = file.at("services", "keystead");
    assertServeArguments(keystead.at("command").list.map(({ text }) => text));
    const settings = serverSettingsSchema.parse(JSON.parse(readFileSync("deploy/compose/server.json", "utf8")));
    expect(settings.port).toBe(port);
    expect(keystead.at("ports", 0).text).toBe(`127.0.0.1:${port}:${port}`);
    expect(keystead.at("environment", "KEYSTEAD_HEALTH_URL").text).toBe(`https://127.0.0.1:${port}/readyz`);
    const grace = Number.parseInt(keystead.at("stop_grace_period").text, 10);
    expect(grace).toBeGreaterThanOrEqual(settings.shutdownSeconds + closingSeconds);
  });

  it("names files, networks and volumes that there are", () => {
    const volumes = new Set(file.at("volumes").entries.map(([name]) => name));
    const networks = new Set(file.at("networks").entries.map(([name]) => name));
    const names = new Set(services.map(([name]) => name));
    for (const [name, service] of services) {
      for (const { text } of service.at("volumes").list) {
        const [source = ""] = text.split(":");
        if (source.startsWith("./")) expect(statSync(join("deploy/compose", source)).isFile()).toBe(true);
        else expect(volumes.has(source), `${name}: ${source}`).toBe(true);
      }
      for (const { text } of service.at("networks").list) expect(networks.has(text)).toBe(true);
      for (const [needed] of service.at("depends_on").entries) expect(names.has(needed)).toBe(true);
    }
  });

  it("keeps secrets when the container that placed them has ended, each for its own server", () => {
    // A volume in memory is gone as soon as no container has it mounted, and nothing places secrets again when the machine starts.
    for (const [name, volume] of file.at("volumes").entries) expect(volume.value, name).toEqual({});
    expect(file.at("services", "postgres", "depends_on", "place-secrets", "condition").text).toBe("service_completed_successfully");
    const folder = temporaryFolder();
    for (const name of ["postgres", "keycloak", "keystead"]) mkdirSync(join(folder, "place", name), { recursive: true });
    const secrets = join(folder, "secrets");
    mkdirSync(secrets);
    for (const [name] of file.at("secrets").entries) writeFileSync(join(secrets, name), `${name}\n`);
    const script = readFileSync("deploy/compose/place-secrets.sh", "utf8")
      .replaceAll("/run/secrets", secrets)
      .replaceAll("/place", join(folder, "place"))
      .replaceAll("/run/scratch", folder)
      // Only root may give files away.
      .replaceAll(/ -o "\$\w+" -g "\$\w+"/g, "");
    for (let round = 0; round < 2; round += 1)
      expect(spawnSync("sh", { input: script, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    const placed = listFiles(join(folder, "place"));
    expect(placed.map((path) => path.slice(folder.length))).toEqual([
      "/place/keycloak/admin-password",
      "/place/keycloak/ca.crt",
      "/place/keycloak/tls.crt",
      "/place/keycloak/tls.key",
      "/place/keystead/ca.crt",
      "/place/keystead/pgpass",
      "/place/keystead/tls.crt",
      "/place/keystead/tls.key",
      "/place/postgres/ca.crt",
      "/place/postgres/password",
      "/place/postgres/tls.crt",
      "/place/postgres/tls.key",
    ]);
    for (const path of placed) expect(statSync(path).mode & 0o777, path).toBe(0o600);
    for (const name of ["postgres", "keycloak", "keystead"]) expect(statSync(join(folder, "place", name)).mode & 0o777, name).toBe(0o700);
    expect(readFileSync(join(folder, "place/keystead/pgpass"), "utf8")).toBe("postgres:5432:keystead:keystead:postgres-password\n");
  });

  it("has scripts that a shell takes, and that make good secrets", () => {
    for (const script of readdirSync("deploy/compose").filter((name) => name.endsWith(".sh")))
      expect(spawnSync("sh", ["-n", join("deploy/compose", script)]).status, script).toBe(0);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "make-secrets.sh"), readFileSync("deploy/compose/make-secrets.sh"));
    for (let round = 0; round < 2; round += 1)
      expect(spawnSync("sh", [join(folder, "make-secrets.sh")], { encoding: "utf8" })).toMatchObject({ status: 0 });
    for (const file of listFiles(join(folder, "secrets"))) expect(statSync(file).mode & 0o077, file).toBe(0);
    const verified = spawnSync("openssl", ["verify", "-CAfile", "ca.crt", "keystead.crt", "postgres.crt", "keycloak.crt"], {
      cwd: join(folder, "secrets"),
      encoding: "utf8",
    });
    expect(verified).toMatchObject({ status: 0 });
  });
});

describe("the Helm chart", () => {
  const fixture = "test/deploy/fixtures/chart.yaml";
  const documents = readYaml(fixture);
  const [set = new Tree(undefined)] = documents.filter((document) => document.at("kind").value === "StatefulSet");
  const pod = set.at("spec", "template", "spec");

  it("is what was rendered for these tests", () => {
    const [first = "", ...rest] = readFileSync(fixture, "utf8").split("\n");
    expect(first, "run `node scripts/render-chart.ts` with Helm").toBe(`# chart ${chartDigest()}`);
    const helm = process.env["KEYSTEAD_TEST_HELM"] ?? programOnPath("helm");
    if (helm === undefined) printReason("helm is not installed: the chart was not rendered again, its rendering of before was looked at");
    else expect(renderChart(helm)).toBe(rest.join("\n"));
  });

  it("has every part", () => {
    expect(documents.map((document) => document.at("kind").text).sort()).toEqual([
      "ConfigMap",
      "NetworkPolicy",
      "PodDisruptionBudget",
      "Service",
      "Service",
      "StatefulSet",
    ]);
  });

  it("runs without privileges, on a file system that it can't write", () => {
    expect(pod.at("securityContext").value).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    expect(pod.at("automountServiceAccountToken").value).toBe(false);
    const containers = [...pod.at("initContainers").list, ...pod.at("containers").list];
    expect(containers.length).toBe(2);
    for (const container of containers) {
      expect(container.at("securityContext").value).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10001,
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        privileged: false,
        capabilities: { drop: ["ALL"] },
      });
      expect(container.at("resources", "limits", "memory").text).not.toBe("");
      expect(container.at("image").text).toMatch(/:\d/);
    }
  });

  it("asks for life and readiness where the server tells of them", () => {
    const server = pod.at("containers", 0);
    const path = (probe: string): unknown => server.at(probe, "httpGet", "path").value;
    expect(["startupProbe", "livenessProbe", "readinessProbe"].map(path)).toEqual(["/livez", "/livez", "/readyz"]);
    expect(server.at("ports", 0, "containerPort").value).toBe(port);
    assertServeArguments(server.at("args").list.map(({ text }) => text));
    expect(Number(pod.at("terminationGracePeriodSeconds").value)).toBeGreaterThanOrEqual(
      defaultServerSettings.shutdownSeconds + closingSeconds,
    );
  });

  it("has secrets by reference only, and a configuration that Keystead takes", () => {
    const [map] = documents.filter((document) => document.at("kind").value === "ConfigMap");
    const configuration = parseConfiguration(map?.at("data", "keystead.json").text ?? "", "keystead.json");
    expect(configuration.store).toMatch(/passfile=\/run\/keystead\/pgpass&sslrootcert=/);
    expect(serverSettings(configuration, {})).toMatchObject({ host: "0.0.0.0", port, tls: { certFile: "/run/keystead/tls.crt" } });
    const secrets = pod.at("volumes").list.filter((volume) => volume.at("secret").value !== undefined);
    expect(secrets.map((volume) => volume.at("secret", "secretName").text).sort()).toEqual([
      "keystead-ca",
      "keystead-extra",
      "keystead-master-key",
      "keystead-pgpass",
      "keystead-tls",
    ]);
    for (const container of [...pod.at("initContainers").list, ...pod.at("containers").list])
      expect(container.at("env").value).toBeUndefined();
  });

  it("lets in and out what is needed, and selects its own pods", () => {
    const [policy] = documents.filter((document) => document.at("kind").value === "NetworkPolicy");
    expect(policy?.at("spec", "policyTypes").value).toEqual(["Ingress", "Egress"]);
    const labels = set.at("spec", "template", "metadata", "labels");
    const selectors = documents.flatMap((document) => [
      document.at("spec", "podSelector", "matchLabels"),
      document.at("spec", "selector", "matchLabels"),
      ...(document.at("kind").value === "Service" ? [document.at("spec", "selector")] : []),
    ]);
    const named = selectors.filter(({ value }) => value !== undefined);
    expect(named.length).toBe(5);
    for (const { entries } of named) for (const [name, { value }] of entries) expect(labels.at(name).value).toBe(value);
  });
});

describe("keystead.service", () => {
  const unit = readFileSync("deploy/systemd/keystead.service", "utf8");
  const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1];

  it("is hardened, and starts the server with options that it has", () => {
    for (const [name, wanted] of Object.entries({
      User: "keystead",
      NoNewPrivileges: "yes",
      ProtectSystem: "strict",
      ProtectHome: "yes",
      PrivateTmp: "yes",
      StateDirectory: "keystead",
      StateDirectoryMode: "0700",
      UMask: "0077",
      CapabilityBoundingSet: "",
      RestrictSUIDSGID: "yes",
      LimitCORE: "0",
    }))
      expect(value(name), name).toBe(wanted);
    const [program, ...args] = (value("ExecStart") ?? "").split(" ");
    expect(program).toBe("/usr/bin/keystead");
    assertServeArguments(args);
    expect(Number(value("TimeoutStopSec"))).toBeGreaterThanOrEqual(defaultServerSettings.shutdownSeconds + closingSeconds);
    expect(unit).not.toMatch(/^Environment=.*(?:PASS|SECRET|TOKEN)/im);
  });

  it("is taken by systemd", () => {
    const analyze = programOnPath("systemd-analyze");
    if (analyze === undefined) return printReason("systemd-analyze is not installed: the unit was not verified by it");
    const file = join(temporaryFolder(), "keystead.service");
    // The program is not installed here.
    writeFileSync(file, unit.replace("/usr/bin/keystead", process.execPath).replaceAll(/^(?:User|Group)=.*\n/gm, ""));
    const verified = spawnSync(analyze, ["verify", "--man=no", file], { encoding: "utf8" });
    const own = verified.stderr.split("\n").filter((line) => line.includes("keystead.service"));
    expect(own).toEqual([]);
  });
});
