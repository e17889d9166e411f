package keda_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/flyball/flyball/api/externalscaler"
	"github.com/flyball/flyball/internal/keda"
	"github.com/flyball/flyball/query"
)

func (w *world) scaler() *keda.Scaler { return keda.New(keda.Options{Results: w.board, Now: w.clock}) }

func TestWhatIsWrongWithATriggerIsNamedWithItsFix(t *testing.T) {
	w := newWorld(t, llm, strings.ReplaceAll(llm, "llm", "llm-large"), strings.NewReplacer("chat", "search", "llm", "llm-search").Replace(llm),
		strings.NewReplacer("llm", "native", "APA", "HPA", "minReplicas: 0", "minReplicas: 1", `external, endpoint: "127.0.0.1:1", targetMetric: "gateway:queue"`,
			"resource, targetMetric: cpu").Replace(llm),
		strings.Replace(strings.ReplaceAll(llm, "llm", "tiny"), `targetValue: "10"`, `targetValue: "0.0001"`, 1))
	w.decide()
	s := w.scaler()
	for _, c := range []struct {
		ref    *pb.ScaledObjectRef
		code   codes.Code
		reason string
		want   string
	}{
		{nil, codes.InvalidArgument, "INVALID_FIELD", "name or namespace is missing"},
		{ref("llm", "targt", "x"), codes.InvalidArgument, "INVALID_FIELD", "ScaledObject chat/llm: trigger: metadata.targt: is no key of this trigger; did you mean target?"},
		{ref("llm", "maxstaleness", "9s"), codes.InvalidArgument, "INVALID_FIELD", "did you mean maxStaleness?"},
		{ref("llm", "scalerAdress", "x"), codes.InvalidArgument, "INVALID_FIELD", "did you mean scalerAddress?"},
		{ref("llm", "target", "chat/llm/x"), codes.InvalidArgument, "INVALID_FIELD", "give NAME or NAMESPACE/NAME"},
		{ref("llm", "target", "/llm"), codes.InvalidArgument, "INVALID_FIELD", "give NAME or NAMESPACE/NAME"},
		{ref("llm", "target", "chat/"), codes.InvalidArgument, "INVALID_FIELD", "give NAME or NAMESPACE/NAME"},
		{ref("llm", "mode", "Load"), codes.InvalidArgument, "INVALID_FIELD", `metadata.mode: "Load" is no mode; did you mean load?`},
		{ref("llm", "mode", "replicas"), codes.InvalidArgument, "INVALID_FIELD", "did you mean"},
		{ref("llm", "maxStaleness", "soon"), codes.InvalidArgument, "INVALID_FIELD", `"soon" is no duration; give one such as 10s`},
		{ref("llm", "maxStaleness", "1s"), codes.InvalidArgument, "INVALID_FIELD", "1s is less than the 2s between two decisions; give 2s or more"},
		{ref("llm", "maxStaleness", "-5m"), codes.InvalidArgument, "INVALID_FIELD", "give 2s or more"},
		{ref("llm", "minConfidence", "most"), codes.InvalidArgument, "INVALID_FIELD", `metadata.minConfidence: "most" is not a number; give one from 0 to 1, such as 0.9`},
		{ref("llm", "minConfidence", "90"), codes.InvalidArgument, "INVALID_FIELD", `"90" is out of range; give a number from 0 to 1, such as 0.9`},
		{ref("llm", "minConfidence", "-0.1"), codes.InvalidArgument, "INVALID_FIELD", "out of range"},
		{ref("llm", "minConfidence", "NaN"), codes.InvalidArgument, "INVALID_FIELD", "out of range"},
		{ref("llm", "minconfidence", "0.9"), codes.InvalidArgument, "INVALID_FIELD", "did you mean minConfidence?"},
		{ref("llm", "target", "search/llm"), codes.PermissionDenied, "OTHER_NAMESPACE", "ScaledObject chat/llm may only ask for autoscalers of its own namespace"},
		{ref("llm", "target", "search/none"), codes.PermissionDenied, "OTHER_NAMESPACE", "of its own namespace"},
		{ref("lm"), codes.NotFound, "NO_AUTOSCALER", "did you mean llm, "},
		{ref("llm", "target", "llm-lrge"), codes.NotFound, "NO_AUTOSCALER", "autoscaler chat/llm-lrge: there is no such PodAutoscaler"},
		{&pb.ScaledObjectRef{Namespace: "empty", Name: "x"}, codes.NotFound, "NO_AUTOSCALER", "nor any in that namespace"},
		{ref("native"), codes.FailedPrecondition, "DELEGATED", "would fight it"},
		{ref("tiny", "mode", "load"), codes.FailedPrecondition, "TARGET_TOO_SMALL", "KEDA knows no number between 0 and 0.001"},
	} {
		_, err := s.IsActive(t.Context(), c.ref)
		text := requireError(t, err, c.code, c.reason)
		require.Contains(t, text, c.want)
		if c.code == codes.NotFound {
			require.NotContains(t, text, "search", "what is in other namespaces is none of its business")
		}
		_, err = s.GetMetricSpec(t.Context(), c.ref)
		require.Equal(t, text, status.Convert(err).Message())
		_, err = s.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: c.ref, MetricName: "desired_replicas"})
		require.Equal(t, text, status.Convert(err).Message())
	}
}

func TestATriggerMayNameItsAutoscaler(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 35)
	w.decide()
	for _, metadata := range [][]string{
		{"target", "llm"},
		{"target", "chat/llm", "mode", "desiredReplicas"},
		{"target", "llm", "mode", "", "maxStaleness", "1d"},
		{"target", "llm", "maxStaleness", "2.5s"},
	} {
		got, err := w.scaler().GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref("so", metadata...), MetricName: "desired_replicas"})
		require.NoError(t, err)
		require.EqualValues(t, 4, got.GetMetricValues()[0].GetMetricValueFloat())
	}
}

func TestAMetricThatIsNotThereIsNamed(t *testing.T) {
	w := newWorld(t, llm)
	w.decide()
	for _, c := range []struct{ mode, name, want string }{
		{"desiredReplicas", "desired-replicas", `there is no metric "desired-replicas"; in mode desiredReplicas there is desired_replicas`},
		{"load", "desired_replicas", "in mode load there is gateway-queue"},
		{"load", "", "gateway-queue"},
	} {
		_, err := w.scaler().GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref("llm", "mode", c.mode), MetricName: c.name})
		require.Contains(t, requireError(t, err, codes.NotFound, "NO_METRIC"), c.want)
	}
}

// many has two sources whose names are the same in a path, and one that is in capitals.
const many = llm + `  - {metricSourceType: external, endpoint: "127.0.0.1:2", targetMetric: "gateway.queue", targetValue: "0.5"}
  - {metricSourceType: external, endpoint: "127.0.0.1:3", targetMetric: "GATEWAY_queue", targetValue: "1000"}
`

func TestEachSourceIsAMetricOfItsOwn(t *testing.T) {
	w := newWorld(t, many)
	w.measure("llm", 0, 25.5)
	w.measure("llm", 1, 0)
	w.measure("llm", 2, -0.25)
	w.decide()
	s, r := w.scaler(), ref("llm", "mode", "load")
	specs, err := s.GetMetricSpec(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, specs.GetMetricSpecs(), 3)
	for i, want := range []struct {
		name        string
		target      float64
		wholeTarget int64
		value       float64
		whole       int64
	}{
		{"gateway-queue", 10, 10, 25.5, 26},
		{"gateway-queue-2", 0.5, 1, 0, 0},
		{"gateway_queue", 1000, 1000, 0, 0},
	} {
		spec := specs.GetMetricSpecs()[i]
		require.Equal(t, want.name, spec.GetMetricName())
		require.InDelta(t, want.target, spec.GetTargetSizeFloat(), 0)
		require.Equal(t, want.wholeTarget, spec.GetTargetSize())
		got, err := s.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: want.name})
		require.NoError(t, err)
		require.Len(t, got.GetMetricValues(), 1)
		v := got.GetMetricValues()[0]
		require.Equal(t, want.name, v.GetMetricName())
		require.InDelta(t, want.value, v.GetMetricValueFloat(), 0)
		require.Equal(t, want.whole, v.GetMetricValue(), "KEDA reads the whole number where the fraction is 0")
	}
}

func TestSourcesOfOneMetricAreNamedByWhereTheyMeasure(t *testing.T) {
	w := newWorld(t, llm+`  - {metricSourceType: external, endpoint: "127.0.0.1:2", targetMetric: "gateway:queue", targetValue: "5"}`)
	w.decide()
	specs, err := w.scaler().GetMetricSpec(t.Context(), ref("llm", "mode", "load"))
	require.NoError(t, err)
	require.Equal(t, "gateway-queue-127-0-0-1-1-metrics", specs.GetMetricSpecs()[0].GetMetricName())
	require.Equal(t, "gateway-queue-127-0-0-1-2-metrics", specs.GetMetricSpecs()[1].GetMetricName())
}

// KEDA counts thousandths in an int64.
func TestAnImmenseLoadStaysOne(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 1e300)
	w.decide()
	got, err := w.scaler().GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref("llm", "mode", "load"), MetricName: "gateway-queue"})
	require.NoError(t, err)
	require.Positive(t, int64(got.GetMetricValues()[0].GetMetricValueFloat()*1000))
	require.Positive(t, got.GetMetricValues()[0].GetMetricValue()*1000)
}

// A source of its own may be blind while the others decide; and what is missing of it never lowers the count.
func TestASourceThatIsNotWholeNeverLowers(t *testing.T) {
	w := newWorld(t, many)
	w.scale(chatLLM, 4)
	s, r := w.scaler(), ref("llm", "mode", "load")
	ask := func() (*pb.GetMetricsResponse, error) {
		w.measure("llm", 1, 1)
		w.decide()
		return s.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "gateway-queue"})
	}
	w.measure("llm", 0, math.NaN())
	_, err := ask()
	require.Contains(t, requireError(t, err, codes.Unavailable, "MISSING"), "autoscaler chat/llm: gateway-queue: its window is Missing; 0 of 1 exporters answer")
	w.window("llm", 0, query.Window{State: query.Fresh, Value: math.Inf(1), Coverage: 1})
	_, err = ask()
	require.Contains(t, requireError(t, err, codes.Unavailable, "NOT_NUMBER"), "no number")
	for _, gap := range []query.Window{{Coverage: 0.9, Expected: 4}, {Coverage: 1, Silent: 1, Expected: 4}, {Coverage: math.NaN(), Expected: 4}} {
		gap.State = query.Fresh
		for _, value := range []float64{0, 29.9, 30, 30.1, 40, 90} {
			gap.Value = value
			w.window("llm", 0, gap)
			if got, err := ask(); value <= 30 { // at 10 per pod, for 3 of the 4
				requireError(t, err, codes.Unavailable, "INCOMPLETE")
			} else {
				require.NoError(t, err)
				require.InDelta(t, value, got.GetMetricValues()[0].GetMetricValueFloat(), 0)
			}
		}
	}
}

// covered is a window of that coverage, whose pods have all answered lately.
func covered(value, coverage float64) query.Window {
	return query.Window{State: query.Fresh, Value: value, Coverage: coverage, Expected: 4, Reporting: 4, Answering: 4, MeanReady: 4}
}

// minConfidence: the HPA holds and KEDA's fallback begins where the windows are covered to less.
func TestAnAnswerIsRefusedBelowTheConfidenceAskedFor(t *testing.T) {
	w := newWorld(t, many)
	r := func(mode, least string) *pb.ScaledObjectRef { return ref("llm", "mode", mode, "minConfidence", least) }
	s := w.scaler()
	w.window("llm", 0, covered(90, 0.8))
	w.window("llm", 1, covered(1, 1))
	w.window("llm", 2, query.Window{State: query.NoPods, NewestAge: -1}) // asks for nothing, and is no reason to doubt
	w.decide()
	for _, c := range []struct {
		mode, least string
		refused     bool
	}{
		{"desiredReplicas", "", false},
		{"desiredReplicas", "0", false},
		{"desiredReplicas", "0.8", false},
		{"desiredReplicas", "0.81", true},
		{"desiredReplicas", "1", true},
		{"load", "1", false},
	} {
		_, err := s.IsActive(t.Context(), r(c.mode, c.least))
		if !c.refused {
			require.NoError(t, err)
			continue
		}
		require.Contains(t, requireError(t, err, codes.Unavailable, "LOW_CONFIDENCE"),
			"autoscaler chat/llm: the windows are covered to 80.0%, less than minConfidence ("+c.least+")")
	}
	load := func(metric string) error {
		_, err := s.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r("load", "0.9"), MetricName: metric})
		return err
	}
	require.Contains(t, requireError(t, load("gateway-queue"), codes.Unavailable, "LOW_CONFIDENCE"),
		"gateway-queue: its window is covered to 80.0%, less than minConfidence (0.9)")
	require.NoError(t, load("gateway-queue-2"))

	w.window("llm", 1, query.Window{State: query.Missing, NewestAge: -1, Expected: 1})
	w.decide()
	_, err := s.IsActive(t.Context(), r("desiredReplicas", "0.1"))
	requireError(t, err, codes.Unavailable, "LOW_CONFIDENCE")
	_, err = s.IsActive(t.Context(), r("desiredReplicas", ""))
	require.NoError(t, err)
}

// What does not come from the data is an answer, however few there are.
func TestAPauseIsToldWhateverTheConfidence(t *testing.T) {
	w := newWorld(t, strings.Replace(llm, "annotations: {", "annotations: {flyball.dev/paused-replicas: \"3\", ", 1))
	w.window("llm", 0, covered(90, 0.5))
	w.decide()
	got, err := w.scaler().GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref("llm", "minConfidence", "1"), MetricName: "desired_replicas"})
	require.NoError(t, err)
	require.EqualValues(t, 3, got.GetMetricValues()[0].GetMetricValue())
}

func TestWhoAskedIsKnownForTwoMinutes(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 1)
	w.decide()
	core, logged := observer.New(zap.InfoLevel)
	s := keda.New(keda.Options{Results: w.board, Now: w.clock, Log: zap.New(core)})
	require.Empty(t, s.Asking())
	ask := func(r *pb.ScaledObjectRef) { _, _ = s.GetMetricSpec(t.Context(), r) }
	ask(ref("so-b", "target", "llm"))
	w.pass(time.Minute)
	for range 3 {
		ask(ref("llm"))
	}
	ask(ref("nobody"))
	ask(ref("llm", "target", "search/llm"))
	mine, b := keda.Asking{Namespace: "chat", ScaledObject: "llm", Autoscaler: "llm"}, keda.Asking{Namespace: "chat", ScaledObject: "so-b", Autoscaler: "llm"}
	require.Equal(t, []keda.Asking{mine, b}, s.Asking())
	w.pass(time.Minute)
	require.Equal(t, []keda.Asking{mine, b}, s.Asking())
	w.pass(time.Second)
	require.Equal(t, []keda.Asking{mine}, s.Asking())
	require.Equal(t, 2, logged.Len(), "once for each")
	w.pass(time.Hour)
	ask(ref("llm"))
	require.Equal(t, 3, logged.Len(), "and again after a silence")
}

// Whatever a trigger says, the answer is an answer or a status with a reason.
func FuzzTrigger(f *testing.F) {
	f.Add("llm", "chat/llm", "load", "10s", "target")
	f.Add("llm", "", "", "1d", "")
	f.Add("llm", "search/llm", "desiredReplicas", "1.5s", "scalerAddress")
	f.Add("x", "/", "Load", "-1s", "Target")
	w := newWorld(f, llm)
	w.measure("llm", 0, 35)
	w.decide()
	f.Fuzz(func(t *testing.T, name, target, mode, staleness, key string) {
		if !utf8.ValidString(strings.Join([]string{name, target, mode, staleness, key}, " ")) {
			return // gRPC lets no such message through
		}
		r := ref(name, "target", target, "mode", mode, "maxStaleness", staleness, key, "x")
		got, err := w.scaler().GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "desired_replicas"})
		if err == nil {
			require.EqualValues(t, 4, got.GetMetricValues()[0].GetMetricValue())
			return
		}
		st := status.Convert(err)
		require.NotEmpty(t, st.Details())
		require.NotContains(t, []codes.Code{codes.OK, codes.Unknown, codes.Internal}, st.Code())
	})
}
