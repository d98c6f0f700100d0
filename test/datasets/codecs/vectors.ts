/**
 * Vectors of OpenSPP's key management, made by its rules: data key 00…1f, master key 32 × `M`, salt left out. Source: the OpenSPP
 * specification of this project, section 3.4.
 */
export const openspp = {
  dataKey: Buffer.from(Array.from({ length: 32 }, (_, index) => index)),
  masterKey: Buffer.alloc(32, "M"),
  masterKeyBase64: "TU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU0=",
  derivedMasterKey: {
    uuid: "00000000-0000-4000-8000-000000000000",
    hex: "f772d085581917c19a1c1f118fa8f34938eae6c766a01b8518cd7d8dcff2eda8",
  },
  wrapped: {
    keyId: "pii_national_id",
    base64: "AAECAwQFBgcICQoLxTj5YuehhVy1oBR+X8iFXCTx+57lHCFMwNB9OqIlf2Kc/LWpU6zz0j77QkaGg8vq",
  },
  sealed: {
    withoutAad: { text: "123-45-6789", base64: "AAAAAAAAAAAAAAABJOSM0XDBHSg5Fmi6/5ovKZg3UK6WeuUtknxu" },
    empty: { text: "", base64: "AAAAAAAAAAAAAAABNn74KIgxVXQI4QKVChbiag==" },
    withAad: { text: "Secret message", aad: "res.partner.123", base64: "AAAAAAAAAAAAAAABRrPcjiGAEHNrXSJYi8OOtTcXUAgSOscNJt7vWLw7" },
    field: {
      text: "123-456-789",
      model: "res.partner",
      column: "national_id",
      base64: "AAAAAAAAAAAAAAABJOSM0XDBBjM5FmimmPGLH+UFY6SMzBMcom2t",
    },
  },
} as const;
