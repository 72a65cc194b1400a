{{- define "squashproxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/*
At most 40 characters: names of pods of a StatefulSet and of Jobs begin with it. A longer one is cut, and ends with
a hash of the whole: two releases whose names begin alike stay apart.
*/}}
{{- define "squashproxy.fullname" -}}
{{- $whole := .Values.fullnameOverride }}
{{- if not $whole }}
{{- $whole = .Release.Name | replace "." "-" }}
{{- if not (contains (include "squashproxy.name" .) $whole) }}
{{- $whole = printf "%s-%s" $whole (include "squashproxy.name" .) }}
{{- end }}
{{- end }}
{{- if gt (len $whole) 40 }}
{{- $whole = printf "%s-%s" ($whole | trunc 31 | trimSuffix "-") ($whole | sha256sum | trunc 8) }}
{{- end }}
{{- $whole }}
{{- end }}

{{/* The name of what belongs to a role. Takes {root, role}. */}}
{{- define "squashproxy.roleName" -}}
{{- $name := include "squashproxy.fullname" .root }}
{{- if eq .role "serve" }}{{ $name }}{{ else }}{{ $name }}-{{ .role }}{{ end }}
{{- end }}

{{- define "squashproxy.selector" -}}
app.kubernetes.io/name: {{ include "squashproxy.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{/* Takes {root, role}, and `more` labels, which win over `commonLabels`. */}}
{{- define "squashproxy.labels" -}}
{{ include "squashproxy.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (default dict .more) (default dict .root.Values.commonLabels) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "squashproxy.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "squashproxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "squashproxy.image" -}}
{{- with .Values.image }}
{{- $tag := default $.Chart.AppVersion .tag }}
{{- if .digest }}{{ .repository }}:{{ $tag }}@{{ .digest }}{{ else }}{{ .repository }}:{{ $tag }}{{ end }}
{{- end }}
{{- end }}
