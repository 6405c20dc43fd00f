{{- define "l3book.fullname" -}}
{{- if contains "l3book" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-l3book" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "l3book.selector" -}}
app.kubernetes.io/name: l3book
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "l3book.labels" -}}
{{ include "l3book.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
l3book/environment: {{ .Values.environment }}
{{- end }}

{{- define "l3book.image" -}}
{{- with .Values.image }}
{{- if not .repository }}{{ fail "image.repository: expected the image's name with its registry, such as registry.example/l3book" }}{{ end }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}{{ else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}{{ end }}
{{- end }}
{{- end }}

{{/* A setting as TOML. Numbers of values are floats by the time they are here, and 2e+10 would be no whole number. */}}
{{- define "l3book.toml" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* What values.schema.json cannot say, because it lies between values. */}}
{{- define "l3book.check" -}}
{{- $open := .Values.settings.allow_unauthenticated }}
{{- if not (or .Values.keys.secretName $open) }}
{{- fail "keys.secretName: expected a Secret with a state.db (l3book keys create), or settings.allow_unauthenticated to serve everybody who can reach the pods" }}
{{- end }}
{{- if and .Values.keys.secretName .Values.serviceMonitor.enabled (not .Values.serviceMonitor.key.secretName) }}
{{- fail "serviceMonitor.key.secretName: expected a Secret with an API key of scope read, since keys are configured" }}
{{- end }}
{{- if and .Values.tls.secretName .Values.serviceMonitor.enabled (not .Values.serviceMonitor.serverName) }}
{{- fail "serviceMonitor.serverName: expected the name that the certificate is made out to, since Prometheus asks by a pod's address" }}
{{- end }}
{{- $names := list }}
{{- $sources := list }}
{{- range .Values.shards }}
{{- if has .name $names }}{{ fail (printf "shards: %q is there twice: expected a name of its own for each" .name) }}{{ end }}
{{- if has .source $sources }}{{ fail (printf "shards: %q is the source of two: expected one shard for each, or it is recorded twice" .source) }}{{ end }}
{{- $names = append $names .name }}
{{- $sources = append $sources .source }}
{{- end }}
{{- end }}

{{/* Variables of a server: root, shard, role (writer or reader). */}}
{{- define "l3book.env" -}}
{{- $root := .root }}
- {name: L3BOOK_ENV, value: {{ $root.Values.environment }}}
- {name: L3BOOK_CONFIG, value: /etc/l3book/l3book.toml}
- {name: L3BOOK_STATE_DIR, value: {{ include "l3book.state" .role }}}
{{- if eq .role "writer" }}
- name: L3BOOK_SOURCE
  value: {{ .shard.source | quote }}
- {name: L3BOOK_NO_HISTORY, value: "0"}
- {name: L3BOOK_HISTORY, value: /history/recorded}
{{- else }}
- name: L3BOOK_SOURCE
  value: {{ .shard.readSource | default .shard.source | quote }}
- {name: L3BOOK_NO_HISTORY, value: "1"}
{{- end }}
{{- if $root.Values.tls.secretName }}
- {name: L3BOOK_TLS_CERT, value: /tls/tls.crt}
- {name: L3BOOK_TLS_KEY, value: /tls/tls.key}
{{- end }}
{{- range $variable, $secret := $root.Values.secrets }}
{{- if or (eq $.role "writer") (ne $variable "L3BOOK_HISTORY_STORE_PASSWORD") }}
- {name: {{ $variable }}_FILE, value: /secrets/{{ $variable }}/secret}
{{- end }}
{{- end }}
{{- end }}

{{- define "l3book.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "l3book.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# A history of a hundred thousand files is not to be gone through at every start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "l3book.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ ternary "HTTPS" "HTTP" (ne .root.Values.tls.secretName "") }}
{{- end }}

{{/* A pod of a server: root, shard, role. */}}
{{- define "l3book.pod" -}}
{{- $root := .root }}
{{- $values := ternary $root.Values.writer $root.Values.readers (eq .role "writer") }}
metadata:
  labels:
    {{- include "l3book.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    l3book/shard: {{ .shard.name }}
  annotations:
    # A changed setting is a new pod.
    checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "l3book.fullname" $root }}
  automountServiceAccountToken: false
  # Else every Service becomes variables, L3BOOK_PORT=tcp://… among them, and a variable that is no setting is refused.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add $root.Values.settings.drain_delay_s $root.Values.settings.shutdown_timeout_s 5 10 $root.Values.terminationMarginSeconds }}
  securityContext:
    {{- include "l3book.podSecurityContext" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  topologySpreadConstraints:
    {{- range tuple "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "l3book.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.role }}
          {{- if eq $.role "reader" }}
          l3book/shard: {{ $.shard.name }}
          {{- end }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $root.Values.keys.secretName }}
  initContainers:
    - name: keys
      image: {{ include "l3book.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [keys, import, /keys/state.db]
      env:
        - {name: L3BOOK_STATE_DIR, value: {{ include "l3book.state" .role }}}
      securityContext:
        {{- include "l3book.securityContext" $root | nindent 8 }}
      resources:
        requests: {cpu: 50m, memory: 64Mi}
        limits: {memory: 128Mi}
      volumeMounts:
        - {name: keys, mountPath: /keys, readOnly: true}
        {{- include "l3book.stateMount" .role | nindent 8 }}
  {{- end }}
  containers:
    - name: l3book
      image: {{ include "l3book.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [serve, --host, 0.0.0.0, --port, "8000"]
      env:
        {{- include "l3book.env" . | nindent 8 }}
      ports:
        - {name: http, containerPort: 8000}
      startupProbe:
        {{- include "l3book.probe" (dict "root" $root "path" "/livez") | nindent 8 }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: {{ div (add $root.Values.startupSeconds 4) 5 }}
      # A feed that reconnects is no reason for a restart: /livez asks whether the process runs.
      livenessProbe:
        {{- include "l3book.probe" (dict "root" $root "path" "/livez") | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # All pods have one feed: were they not ready without it, nobody would serve the books that are there. Alerts tell of the feed.
      readinessProbe:
        {{- include "l3book.probe" (dict "root" $root "path" "/readyz?feed=any") | nindent 8 }}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 2
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "l3book.securityContext" $root | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/l3book, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- include "l3book.stateMount" .role | nindent 8 }}
        {{- if $root.Values.tls.secretName }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- end }}
        {{- range $variable, $secret := $root.Values.secrets }}
        {{- if or (eq $.role "writer") (ne $variable "L3BOOK_HISTORY_STORE_PASSWORD") }}
        - {name: {{ $variable | lower | replace "_" "-" }}, mountPath: /secrets/{{ $variable }}, readOnly: true}
        {{- end }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "l3book.fullname" $root }}}
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- if eq .role "reader" }}
    - name: state
      emptyDir: {sizeLimit: 256Mi}
    {{- end }}
    {{- with $root.Values.keys }}
    {{- if .secretName }}
    - name: keys
      secret:
        secretName: {{ .secretName }}
        defaultMode: 0440
        items: [{key: {{ .item }}, path: state.db}]
    {{- end }}
    {{- end }}
    {{- with $root.Values.tls.secretName }}
    - name: tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- range $variable, $secret := $root.Values.secrets }}
    {{- if or (eq $.role "writer") (ne $variable "L3BOOK_HISTORY_STORE_PASSWORD") }}
    - name: {{ $variable | lower | replace "_" "-" }}
      secret:
        secretName: {{ $secret.secretName }}
        defaultMode: 0440
        items: [{key: {{ $secret.item }}, path: secret}]
    {{- end }}
    {{- end }}
{{- end }}

{{/* The writer's state outlives it, on its volume: kept answers of Idempotency-Keys, and what was revoked there. */}}
{{- define "l3book.state" -}}
{{ ternary "/history/state" "/state" (eq . "writer") }}
{{- end }}

{{- define "l3book.stateMount" -}}
{{ ternary "- {name: history, mountPath: /history}" "- {name: state, mountPath: /state}" (eq . "writer") }}
{{- end }}
