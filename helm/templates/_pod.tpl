{{/* The pod, the same in a Deployment and in a StatefulSet. */}}
{{- define "bridge.pod" -}}
metadata:
  labels:
    {{- include "bridge.podLabels" . | nindent 4 }}
  annotations:
    # Settings are read once, so a change of them rolls the pods; rules and secrets change in place.
    checksum/settings: {{ include "bridge.settings" . | sha256sum }}
    kubectl.kubernetes.io/default-container: bridge
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "bridge.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.extraPodSpec }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- if .Values.check.enabled }}
  initContainers:
    - name: check
      args: [check, --config, /etc/bridge/settings/bridge.yaml]
      {{- include "bridge.container" . | nindent 6 }}
  {{- end }}
  containers:
    - name: bridge
      args: [run, --config, /etc/bridge/settings/bridge.yaml]
      {{- include "bridge.container" . | nindent 6 }}
      ports:
        - {name: admin, containerPort: 8080, protocol: TCP}
      # Alive: the Kafka thread polls. An outage of Kafka or of SuprSend never restarts anything.
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 2
  volumes:
    - name: settings
      configMap:
        name: {{ include "bridge.fullname" . }}
    - name: rules
      configMap:
        name: {{ include "bridge.rulesConfigMap" . }}
    - name: secrets
      secret:
        secretName: {{ .Values.secret.name }}
        defaultMode: 0440
    {{- range .Values.extraSecrets }}
    - name: secret-{{ .name | replace "." "-" | trunc 55 | trimSuffix "-" }}
      secret:
        secretName: {{ .name }}
        defaultMode: 0440
    {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 16Mi}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "bridge.selector" $ | nindent 10 }}
    {{- end }}
    {{- end }}
{{- end -}}

{{/* What the check and the bridge have in common. */}}
{{- define "bridge.container" -}}
image: {{ include "bridge.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - {name: BRIDGE_ADMIN__HOST, value: "0.0.0.0"}
  - {name: BRIDGE_ADMIN__PORT, value: "8080"}
  - {name: BRIDGE_LOGS__FORMAT, value: json}
  {{- range $setting, $key := .Values.secret.files }}
  - name: BRIDGE_{{ $setting | upper | replace "." "__" }}
    value: {{ printf "/etc/bridge/secrets/%s" $key | quote }}
  {{- end }}
  {{- range $secret := .Values.extraSecrets }}
  {{- range $setting, $key := $secret.files }}
  - name: BRIDGE_{{ $setting | upper | replace "." "__" }}
    value: {{ printf "/etc/bridge/more-secrets/%s/%s" $secret.name $key | quote }}
  {{- end }}
  {{- end }}
  {{- if .Values.staticMembership }}
  - name: BRIDGE_KAFKA__INSTANCE_ID
    valueFrom:
      fieldRef: {fieldPath: metadata.name}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: settings, mountPath: /etc/bridge/settings, readOnly: true}
  - {name: rules, mountPath: /etc/bridge/rules, readOnly: true}
  - {name: secrets, mountPath: /etc/bridge/secrets, readOnly: true}
  {{- range .Values.extraSecrets }}
  - name: secret-{{ .name | replace "." "-" | trunc 55 | trimSuffix "-" }}
    mountPath: /etc/bridge/more-secrets/{{ .name }}
    readOnly: true
  {{- end }}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
