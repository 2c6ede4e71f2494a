{{- /* What several templates say alike. */}}

{{- define "fastforward.labels" -}}
{{ include "fastforward.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Without what a new version of the chart changes: that alone replaces no pod. */}}
{{- define "fastforward.podLabels" -}}
{{ include "fastforward.selector" . }}
app.kubernetes.io/part-of: fastforward
{{- end }}

{{- define "fastforward.selector" -}}
app.kubernetes.io/name: fastforward-operator
app.kubernetes.io/component: operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* In: dict "root" $ "image" .Values.images.NAME */}}
{{- define "fastforward.image" -}}
{{- $name := printf "%s/%s" .root.Values.images.registry .image.repository -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* Where the Workload is that comes with the release: somewhere that the operator reads. */}}
{{- define "fastforward.decisionNamespace" -}}
{{ first (append .Values.operator.namespaces .Release.Namespace) }}
{{- end }}

{{- /* Who decides for Edges that name nobody, as NAMESPACE/NAME; empty for none. */}}
{{- define "fastforward.decision" -}}
{{- if .Values.operator.decision -}}
{{ .Values.operator.decision }}
{{- else if .Values.decision.enabled -}}
{{ include "fastforward.decisionNamespace" . }}/decision
{{- end -}}
{{- end }}
