/** An object while it is put together member by member: on the way of every call, spreading parts into it costs as much as sealing a short text. */
export type Writable<T> = { -readonly [Name in keyof T]: T[Name] };
