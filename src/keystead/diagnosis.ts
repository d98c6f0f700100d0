/** How a check went: `warning` wants attention, `failed` wants it now. */
export interface Diagnosis {
  readonly check: string;
  readonly status: "good" | "warning" | "failed";
  /** What was found and what to do. */
  readonly message: string;
}

export function warning(check: string, message: string): Diagnosis {
  return { check, status: "warning", message };
}

export function failed(check: string, message: string): Diagnosis {
  return { check, status: "failed", message };
}
