package v1alpha1_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// named are the names that a policy gives to these sources.
func named(t require.TestingT, sources ...v1alpha1.MetricSource) []string {
	pa := chat()
	pa.Spec.ScalingStrategy, pa.Spec.MetricsSources = decider.APA, sources
	policy, _, errs := pa.Policy()
	require.Empty(t, errs)
	var names []string
	for _, s := range policy.Sources {
		names = append(names, s.Name)
	}
	return names
}

func TestSourcesOfOneNameAreToldApartByWhereTheyMeasure(t *testing.T) {
	pod := func(metric, port, path string) v1alpha1.MetricSource {
		return v1alpha1.MetricSource{MetricSourceType: v1alpha1.TypePod, TargetMetric: metric, Port: port, Path: path, TargetValue: "5"}
	}
	at := func(metric, endpoint, path string) v1alpha1.MetricSource {
		return v1alpha1.MetricSource{MetricSourceType: v1alpha1.TypeExternal, TargetMetric: metric, Endpoint: endpoint, Path: path, TargetValue: "5"}
	}
	api := func(kind v1alpha1.MetricSourceType, team string) v1alpha1.MetricSource {
		s := v1alpha1.MetricSource{MetricSourceType: kind, TargetMetric: "queue", TargetValue: "5"}
		if team != "" {
			s.MetricSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}
		}
		return s
	}
	with := func(s v1alpha1.MetricSource, change func(*v1alpha1.MetricSource)) v1alpha1.MetricSource {
		change(&s)
		return s
	}
	value := func(a v1alpha1.Aggregation) func(*v1alpha1.MetricSource) {
		return func(s *v1alpha1.MetricSource) { s.TargetType, s.Aggregation = decider.Value, a }
	}
	for _, story := range []struct {
		what    string
		sources []v1alpha1.MetricSource
		want    []string
	}{
		{"one alone keeps its name", []v1alpha1.MetricSource{pod("queue", "", "")}, []string{"queue"}},
		{
			"those that collide with none keep theirs",
			[]v1alpha1.MetricSource{pod("queue", "", ""), at("queue", "gw-1:8080", ""), pod("running", "", "")},
			[]string{"queue@8000/metrics", "queue@gw-1:8080/metrics", "running"},
		},
		{
			"two endpoints",
			[]v1alpha1.MetricSource{at("queue", "gw-1:8080", ""), at("queue", "gw-2:8080", "")},
			[]string{"queue@gw-1:8080/metrics", "queue@gw-2:8080/metrics"},
		},
		{
			"two paths of one endpoint",
			[]v1alpha1.MetricSource{at("queue", "gw:8080", "a"), at("queue", "gw:8080", "b")},
			[]string{"queue@gw:8080/a", "queue@gw:8080/b"},
		},
		{
			"two ports",
			[]v1alpha1.MetricSource{pod("queue", "8000", ""), pod("queue", "9000", "stats")},
			[]string{"queue@8000/metrics", "queue@9000/stats"},
		},
		{
			"the average and the maximum of the same",
			[]v1alpha1.MetricSource{with(pod("kv", "", ""), value(v1alpha1.Avg)), pod("queue", "", ""), with(pod("kv", "", ""), value(v1alpha1.Max))},
			[]string{"kv@8000/metrics[0]", "queue", "kv@8000/metrics[2]"},
		},
		{
			"the metrics APIs",
			[]v1alpha1.MetricSource{api(v1alpha1.TypeCustom, ""), api(v1alpha1.TypeExternal, "a"), api(v1alpha1.TypeExternal, "b")},
			[]string{"queue@custom", "queue@external{team=a}", "queue@external{team=b}"},
		},
		{
			"a metric that is called like a name made for another",
			[]v1alpha1.MetricSource{pod("queue", "8000", ""), pod("queue", "9000", ""), at("queue@9000/metrics", "gw", "")},
			[]string{"queue@8000/metrics", "queue@9000/metrics[1]", "queue@9000/metrics[2]"},
		},
	} {
		t.Run(story.what, func(t *testing.T) { require.Equal(t, story.want, named(t, story.sources...)) })
	}
}

func TestNoTwoSourcesOfAnAutoscalerBearOneName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sources []v1alpha1.MetricSource
		for range rapid.IntRange(1, 6).Draw(t, "sources") {
			s := v1alpha1.MetricSource{
				MetricSourceType: v1alpha1.TypePod, TargetValue: "5", Port: fmt.Sprint(rapid.IntRange(8000, 8001).Draw(t, "port")), Path: "/m",
				TargetMetric: rapid.SampledFrom([]string{"q", "q@8000/m", "q@8001/m"}).Draw(t, "metric"),
			}
			if rapid.Bool().Draw(t, "a query") {
				s.TargetMetric, s.Query = "", rapid.SampledFrom([]string{"q", "q[1]", "q@8000/m[1]", "q@8000/m[2]"}).Draw(t, "query")
			}
			if !slices.ContainsFunc(sources, func(other v1alpha1.MetricSource) bool { return other.Key() == s.Key() }) {
				sources = append(sources, s)
			}
		}
		names := named(t, sources...)
		require.Equal(t, names, named(t, sources...), "the same every time")
		slices.Sort(names)
		require.Len(t, slices.Compact(names), len(sources))
	})
}
