package datasource

import (
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/stretchr/testify/require"
)

var (
	noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	hour = backend.TimeRange{From: noon, To: noon.Add(time.Hour)}
)

func TestAWrongQueryNamesTheFieldAndTheFix(t *testing.T) {
	for model, want := range map[string]string{
		`[]`:                           `query: json: cannot unmarshal array`,
		`{}`:                           `queryType: "" is none; give one of autoscalers, decisions, replicas, explanation, annotations, whatif, live`,
		`{"queryType": "Autoscalers"}`: `queryType: "Autoscalers" is none; give one of autoscalers`,
		`{"queryType": "decisions", "name_space": "a"}`:                                                               `name_space: there is no such field; write namespace`,
		`{"queryType": "decisions", "names": "a"}`:                                                                    `names: there is no such field; write name`,
		`{"queryType": "decisions", "limit": "7"}`:                                                                    `limit: a string does not fit; give a int`,
		`{"queryType": "decisions", "limit": 0}`:                                                                      `limit: 0 is out of range; give 1 to 10000`,
		`{"queryType": "replicas", "limit": 5}`:                                                                       `limit: only decisions has a limit; remove it`,
		`{"queryType": "replicas", "changes": {}}`:                                                                    `changes: only whatif has changes; remove them`,
		`{"queryType": "replicas", "namespace": "$ns"}`:                                                               `namespace: "$ns" is a variable that this dashboard does not have`,
		`{"queryType": "replicas", "name": "{a,b}"}`:                                                                  `name: "{a" is no name in Kubernetes`,
		`{"queryType": "explanation", "namespace": "a"}`:                                                              `name: explanation is about one autoscaler, and here are 0 names`,
		`{"queryType": "live", "namespace": "a,b"}`:                                                                   `namespace: live takes one name, and here are 2; leave it empty for all`,
		`{"queryType": "whatif", "namespace": "a,b", "name": "x"}`:                                                    `namespace: whatif is about one autoscaler, and here are 2 names`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"minReplica": 1}}`:                        `changes: unknown field "minReplica"; give minReplicas, maxReplicas`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"minReplicas": -1}}`:                      `changes.minReplicas: -1 is below 0`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"minReplicas": 3, "maxReplicas": 2}}`:     `changes.minReplicas: 3 is more than maxReplicas, 2`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"maxReplicas": 0}}`:                       `changes.maxReplicas: 0 is below 1`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"maxReplicas": 2.5}}`:                     `changes:`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"scaleUpDelay": "-5s"}}`:                  `changes.scaleUpDelay: "-5s" is no delay; write one such as 30s or 5m, at most 24h`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"targets": [{"target": 1}]}}`:             `changes.targets[0].source: missing`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"targets": [{"source": "q"}]}}`:           `changes.targets[0].target: give a number above 0`,
		`{"queryType": "whatif", "namespace": "a", "name": "x", "changes": {"targets": [{"source":"q","target":0}]}}`: `changes.targets[0].target: give a number above 0`,
	} {
		_, err := parse(backend.DataQuery{JSON: []byte(model), TimeRange: hour})
		require.ErrorContains(t, err, want, model)
	}
	_, err := parse(backend.DataQuery{JSON: []byte(`{"queryType": "replicas"}`), TimeRange: backend.TimeRange{From: noon, To: noon}})
	require.ErrorContains(t, err, "time range: it is empty")
}

func TestWhatGrafanaAddsToAQueryIsLetPass(t *testing.T) {
	q, err := parse(backend.DataQuery{TimeRange: hour, JSON: []byte(`{"refId": "A", "key": "Q-1", "hide": false, "intervalMs": 1000, "maxDataPoints": 300,
	  "datasource": {"type": "flyball-datasource", "uid": "x"}, "datasourceId": 3, "queryType": "whatif", "namespace": " team-a ", "name": "chat",
	  "changes": {"scaleDownDelay": " 5m ", "maxReplicas": 4, "targets": [{"source": "queue", "target": 2.5}]}}`)})
	require.NoError(t, err)
	require.Equal(t, []string{"team-a"}, names(q.Namespace))
	m, err := q.Changes.message()
	require.NoError(t, err)
	require.Equal(t, 5*time.Minute, m.GetScaleDownDelay().AsDuration())
	require.Nil(t, m.GetScaleUpDelay(), "what is left out stays as it is")
	require.Nil(t, m.MinReplicas)
	require.EqualValues(t, 4, m.GetMaxReplicas())
	require.Equal(t, 2.5, m.GetTargets()[0].GetTarget())
}

func TestAStreamsPathSaysWhoseDecisionsItHas(t *testing.T) {
	for path, want := range map[string][2]string{"live": {}, "live/a": {"a", ""}, "live/a/x": {"a", "x"}, "live//x": {"", "x"}} {
		q, err := ofChannel(path)
		require.NoError(t, err, path)
		require.Equal(t, want, [2]string{q.Namespace, q.Name})
		require.Equal(t, path, q.channel())
	}
	for _, path := range []string{"", "alive", "live/", "live/a/x/y", "live/$ns", "live/a,b", "live/../x"} {
		_, err := ofChannel(path)
		require.Error(t, err, path)
	}
}

func TestManyAutoscalersShareWhatIsReadOfHistory(t *testing.T) {
	require.Equal(t, []int{100, maxDecisions, maxDecisions, 500, 1}, []int{
		share(1, 100), share(0, maxDecisions), share(5, maxDecisions), share(100, maxDecisions), share(2*maxAltogether, maxDecisions),
	})
}
