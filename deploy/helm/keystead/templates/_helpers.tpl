{{- define "keystead.name" -}}
{{- printf "%s" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "keystead.selector" -}}
app.kubernetes.io/name: keystead
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keystead.labels" -}}
{{ include "keystead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "keystead.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "keystead.store" -}}
{{- $url := required "storeUrl: URL of the store in PostgreSQL, without a password" .Values.storeUrl -}}
{{- $url }}{{ if contains "?" $url }}&{{ else }}?{{ end }}passfile=/run/keystead/pgpass
{{- if .Values.secrets.ca }}&sslrootcert=/run/keystead/ca.crt{{ end -}}
{{- end -}}

{{- define "keystead.server" -}}
{{- $server := merge (dict "host" "0.0.0.0" "port" (int .Values.service.port)) .Values.server -}}
{{- if .Values.secrets.tls -}}
{{- $_ := set $server "tls" (dict "certFile" "/run/keystead/tls.crt" "keyFile" "/run/keystead/tls.key") -}}
{{- else if not .Values.server.behindProxy -}}
{{- fail "secrets.tls is empty: name a secret with a certificate, or set server.behindProxy where a proxy terminates TLS" -}}
{{- end -}}
{{ toJson $server }}
{{- end -}}

{{- define "keystead.configuration" -}}
{"store":{{ include "keystead.store" . | toJson | replace "\\u0026" "&" }},"masterKeys":{"main":{"file":"/run/keystead/master.key"}},"databases":{},"server":{{ include "keystead.server" . }}}
{{- end -}}

{{- define "keystead.containerSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
privileged: false
capabilities: { drop: [ALL] }
{{- end -}}
