{{/* The name of everything: the release, with the chart's name unless it is in there. */}}
{{- define "bridge.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bridge.labels" -}}
{{ include "bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: bridge
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of the pods: podLabels add to the others and change none of them. */}}
{{- define "bridge.podLabels" -}}
{{- toYaml (merge (include "bridge.labels" . | fromYaml) (.Values.podLabels | default dict)) -}}
{{- end -}}

{{- define "bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "bridge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "bridge.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "bridge.rulesConfigMap" -}}
{{- default (printf "%s-rules" (include "bridge.fullname" .)) .Values.existingRulesConfigMap -}}
{{- end -}}

{{/* bridge.yaml: the settings given, and what follows from the other values. Numbers stay whole. */}}
{{- define "bridge.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $_ := set $settings "rules" (mergeOverwrite (default dict $settings.rules) (dict "path" "/etc/bridge/rules")) -}}
{{- if .Values.rateLimit -}}
{{- $pods := ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled -}}
{{- $share := divf .Values.rateLimit $pods -}}
{{- $_ := set $settings "delivery" (mergeOverwrite (default dict $settings.delivery) (dict "rate_limit" $share)) -}}
{{- end -}}
{{- include "bridge.yaml" (dict "value" $settings "indent" 0) -}}
{{- end -}}

{{/* YAML without exponents: toYaml would print 1000000 as 1e+06. Texts are quoted, so that they stay texts. */}}
{{- define "bridge.yaml" -}}
{{- $pad := repeat (int .indent) " " -}}
{{- $inner := add .indent 2 -}}
{{- range $key, $value := .value -}}
{{- if kindIs "map" $value }}
{{- if $value }}
{{ $pad }}{{ include "bridge.key" $key }}:
{{- include "bridge.yaml" (dict "value" $value "indent" $inner) }}
{{- else }}
{{ $pad }}{{ include "bridge.key" $key }}: {}
{{- end }}
{{- else if kindIs "slice" $value }}
{{ $pad }}{{ include "bridge.key" $key }}: {{ include "bridge.flow" $value }}
{{- else }}
{{ $pad }}{{ include "bridge.key" $key }}: {{ include "bridge.flow" $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bridge.key" -}}
{{- if regexMatch "^[a-z][a-z0-9_]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- define "bridge.flow" -}}
{{- if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "bridge.flow" $item }}{{ end }}]
{{- else if kindIs "map" . -}}
{{- $first := true -}}
{ {{- range $key, $item := . }}{{ if not $first }}, {{ end }}{{ $first = false }}{{ include "bridge.key" $key }}: {{ include "bridge.flow" $item }}{{ end -}} }
{{- else if kindIs "float64" . -}}
{{- if eq . (floor .) }}{{ printf "%.0f" . }}{{ else }}{{ printf "%v" . }}{{ end -}}
{{- else if kindIs "string" . -}}
{{ toJson . }}
{{- else if kindIs "invalid" . -}}
null
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{/* The brokers with commas between; the setting may be a list or a text. */}}
{{- define "bridge.servers" -}}
{{- $servers := .Values.settings.kafka.bootstrap_servers -}}
{{- if kindIs "slice" $servers }}{{ join "," $servers }}{{ else }}{{ $servers | replace " " "" }}{{ end -}}
{{- end -}}

{{/* The ports that the bridge must reach: of the brokers, of SuprSend and of the proxy; one number a line. */}}
{{- define "bridge.ports" -}}
{{- $ports := list -}}
{{- range include "bridge.servers" . | splitList "," -}}
{{- $ports = append $ports (regexFind "[0-9]+$" .) -}}
{{- end -}}
{{- $api := dig "suprsend" "base_url" "https://hub.suprsend.com/" .Values.settings -}}
{{- $urls := compact (list $api (dig "suprsend" "proxy" "" .Values.settings) (dig "kafka" "security" "oauth" "token_endpoint" "" .Values.settings)) -}}
{{- range $urls -}}
{{- $port := regexFind ":[0-9]+(/|$)" . | trimSuffix "/" | trimPrefix ":" -}}
{{- $ports = append $ports (default (ternary "443" "80" (hasPrefix "https:" .)) $port) -}}
{{- end -}}
{{- range .Values.networkPolicy.extraPorts -}}
{{- $ports = append $ports (toString (int .)) -}}
{{- end -}}
{{- compact $ports | uniq | sortAlpha | join "\n" -}}
{{- end -}}

{{/* kafka.drain in seconds, rounded up. */}}
{{- define "bridge.drainSeconds" -}}
{{- $text := toString (dig "kafka" "drain" "10s" .Values.settings) -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- $factor := dict "ms" 0.001 "s" 1.0 "m" 60.0 "" 1.0 "h" 3600.0 -}}
{{- if not (hasKey $factor $unit) -}}
{{- fail (printf "settings.kafka.drain: %q is no duration such as 10s" $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $factor $unit) | ceil | int -}}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "bridge.validate" -}}
{{- $needed := add (include "bridge.drainSeconds" . | int) 15 -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short: with settings.kafka.drain it must be at least %d" (int .Values.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}
{{- if and (not .Values.rules) (not .Values.existingRulesConfigMap) -}}
{{- fail "rules: give the rule files here, or name a ConfigMap in existingRulesConfigMap" -}}
{{- end -}}
{{- if and .Values.rules .Values.existingRulesConfigMap -}}
{{- fail "rules and existingRulesConfigMap are both set: keep one" -}}
{{- end -}}
{{- end -}}
