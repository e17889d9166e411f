package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kpaJSON is an autoscaler on two sources, its pods' queue and an endpoint of its own.
const kpaJSON = `{"apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": "llm"},
"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "llm"}, "scalingStrategy": "KPA", "maxReplicas": 20,
"metricsSources": [{"metricSourceType": "pod", "targetMetric": "queue", "targetValue": "10"},
{"metricSourceType": "external", "endpoint": "127.0.0.1:1", "targetMetric": "suggested", "targetValue": "1"}]}}`

func ask(autoscaler string, steps ...string) string {
	return strings.ReplaceAll(fmt.Sprintf(`{"autoscaler": %s, "steps": [%s]}`, autoscaler, strings.Join(steps, ",")), "\n", " ")
}

func answers(t *testing.T, in string) []reply {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, decideLines(strings.NewReader(in), &out))
	var all []reply
	for line := range strings.Lines(out.String()) {
		var a reply
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&a))
		require.Equal(t, len(a.Decisions) == 0, a.Error != "", "decisions or an error: %s", line)
		all = append(all, a)
	}
	return all
}

func TestEveryMistakeInAQuestionIsNamedWithItsPlaceAndItsFix(t *testing.T) {
	step := func(rest string) string { return `{"t": 1, "replicas": 1, "ready": 1` + rest + `}` }
	apa := strings.Replace(kpaJSON, "KPA", "APA", 1)
	for in, want := range map[string]string{
		"":            "is empty; write one JSON object",
		"{":           "ends in the middle of the JSON object",
		"[]":          "is a JSON array; write an object",
		"{} {}":       "there is more after the JSON object",
		"null":        "autoscaler: missing; give a PodAutoscaler",
		`{"step": 1}`: `unknown field "step"`,
		ask("null"):   "autoscaler: missing",
		ask("7"):      "autoscaler: document 1 (line 1): is not an object",
		ask(kpaJSON):  "steps: missing; give at least one",
		ask(strings.Replace(kpaJSON, "maxReplicas", "maxReplica", 1), step("")):    `unknown field "spec.maxReplica"; did you mean maxReplicas?`,
		ask(strings.Replace(kpaJSON, `"10"`, `"NaN"`, 1), step("")):                "autoscaler: spec.metricsSources[0].targetValue",
		ask(kpaJSON, step(""), step(`, "reddy": 1`)):                               `steps[1]: unknown field "reddy"`,
		ask(kpaJSON, `{"replicas": 1, "ready": 1}`):                                "steps[0].t: missing; give seconds",
		ask(kpaJSON, `{"t": 1, "ready": 1}`):                                       "steps[0].replicas: missing; give 0 or more",
		ask(kpaJSON, `{"t": 1, "replicas": 1}`):                                    "steps[0].ready: missing; give the number",
		ask(kpaJSON, `{"t": -1, "replicas": 1, "ready": 1}`):                       "steps[0].t: -1 is out of range",
		ask(kpaJSON, `{"t": 1, "replicas": 1.5, "ready": 1}`):                      "steps[0].replicas: is a JSON number 1.5; write a whole number",
		ask(kpaJSON, `{"t": "1", "replicas": 1, "ready": 1}`):                      "steps[0].t: is a JSON string; write a number",
		ask(kpaJSON, step(`, "pending": -1`)):                                      "steps[0].pending: -1 is negative; give 0 or more",
		ask(kpaJSON, step(`, "unschedulable": -1`)):                                "steps[0].unschedulable: -1 is negative",
		ask(kpaJSON, `{"t": 1, "replicas": -1, "ready": 1}`):                       "steps[0].replicas: -1 is negative",
		ask(kpaJSON, step(""), `{"t": 0.5, "replicas": 1, "ready": 1}`):            "steps[1].t: 0.5 is before the step before it; put the steps in the order of time",
		ask(kpaJSON, step(`, "windows": {}`)):                                      "steps[0].windows: is a JSON object; write an array",
		ask(kpaJSON, step(`, "windows": [{"stable": 1}]`)):                         "steps[0].windows[0].source: missing; give the index",
		ask(kpaJSON, step(`, "windows": [{"source": 2}]`)):                         "steps[0].windows[0].source: there is no metricsSources[2]; give 0 to 1",
		ask(kpaJSON, step(`, "windows": [{"source": 1}, {"source": 1}]`)):          "steps[0].windows[1].source: 1 is there twice; remove one",
		ask(kpaJSON, step(`, "windows": [{"source": 0, "stable": "5"}]`)):          "steps[0].windows[0].stable: is a JSON string; write a number",
		ask(kpaJSON, step(`, "windows": [{"source": 0, "value": 5}]`)):             `steps[0].windows[0]: unknown field "value"`,
		ask(apa, step(`, "windows": [{"source": 0, "stable": 1, "panic": 1}]`)):    "steps[0].windows[0].panic: strategy APA has no panic window; remove it",
		ask(kpaJSON, step(`, "windows": [{"source": 0, "stable": 1e309}]`)):        "steps[0].windows[0].stable: 1e309 is out of range; write a number from -1.8e308 to 1.8e308",
		ask(kpaJSON, step(`, "t": 9`)):                                             `steps[0]: duplicate field "t"; write it once`,
		ask(kpaJSON, step(`, "Pending": 1`)):                                       `steps[0]: unknown field "Pending"; did you mean pending?`,
		ask(kpaJSON, step(`, "windows": [{"source": 0, "Source": 0}]`)):            `steps[0].windows[0]: unknown field "Source"; did you mean source?`,
		ask(kpaJSON, step(`, "pending": 1, "pending": 1, "reddy": 1`)):             `steps[0]: duplicate field "pending"; write it once; unknown field "reddy"; see flyball decide --help`,
		strings.Replace(ask(kpaJSON), `"steps"`, `"steps": [], "steps"`, 1):        `line 1: duplicate field "steps"; write it once`,
		strings.Replace(ask(kpaJSON), `"steps"`, `"Steps"`, 1):                     `line 1: unknown field "Steps"; did you mean steps?`,
		ask(strings.Replace(kpaJSON, `"spec"`, `"spec": {}, "spec"`, 1), step("")): `line 1: key "spec" already set in map`,
		ask(kpaJSON, `{"t": 1, "replicas": 1, "ready": 1, "pending": 3000000000}`): "write a whole number below 2147483648",
		ask(kpaJSON, `{"t": 1e12, "replicas": 1, "ready": 1}`):                     "give seconds since 1970",
		ask(kpaJSON, `"x"`, `1`):                                                   "steps[0]: is a JSON string; write an object",
	} {
		a := answers(t, in+"\n")
		require.Len(t, a, 1, in)
		require.True(t, strings.HasPrefix(a[0].Error, "line 1: "), a[0].Error)
		require.Contains(t, a[0].Error, want, in)
	}
}

// One line too long, and one of just the most bytes: the next is answered, and no more is held in memory than one line.
func TestALineThatIsTooLongIsRefusedAndTheNextAnswered(t *testing.T) {
	good := ask(kpaJSON, `{"t": 0, "replicas": 1, "ready": 1}`)
	full := good + strings.Repeat(" ", maxLine-len(good))
	a := answers(t, full+"\n"+full+" \n"+strings.Repeat("x", 3*maxLine)+"\n"+good)
	require.Len(t, a, 4)
	require.Empty(t, a[0].Error)
	for _, n := range []int{2, 3} {
		require.Equal(t, fmt.Sprintf("line %d: is longer than 1048576 bytes; split its steps over several lines", n), a[n-1].Error)
	}
	require.Empty(t, a[3].Error, "the last line needs no end")
}

func TestAWindowThatIsNotGivenIsMissingAndHolds(t *testing.T) {
	missing := []string{``, `, "windows": []`, `, "windows": [{"source": 0}]`, `, "windows": [{"source": 1, "stable": null, "panic": null}]`}
	for _, windows := range missing {
		a := answers(t, ask(kpaJSON, `{"t": 0, "replicas": 4, "ready": 3, "pending": 1`+windows+`}`))
		require.Empty(t, a[0].Error)
		d := a[0].Decisions[0]
		require.EqualValues(t, 4, d.To)
		require.EqualValues(t, "no-data", d.Reasons[0].Rule)
		require.Contains(t, d.Reasons[0].Because, "0 of 3 exporters answer")
		require.Contains(t, d.Reasons[1].Because, "0 of 1 exporters answer", "an endpoint is one, whatever the pods")
	}
}

// Later steps know what earlier ones decided, and lines know nothing of each other.
func TestStepsRememberAndLinesDoNot(t *testing.T) {
	high := `{"t": 0, "replicas": 2, "ready": 2, "windows": [{"source": 0, "stable": 90, "panic": 90}, {"source": 1, "stable": 0, "panic": 0}]}`
	low := `{"t": 10, "replicas": 9, "ready": 9, "windows": [{"source": 0, "stable": 20, "panic": 20}, {"source": 1, "stable": 0, "panic": 0}]}`
	a := answers(t, ask(kpaJSON, high, low)+"\n"+ask(kpaJSON, high, low)+"\n")
	require.Equal(t, a[0], a[1])
	require.EqualValues(t, 9, a[0].Decisions[1].To, "the panic of the step before holds")
	last := a[0].Decisions[1].Reasons
	require.EqualValues(t, "panic", last[len(last)-1].Rule)
	for _, d := range a[0].Decisions { // the reasons are a chain
		at := d.From
		for _, r := range d.Reasons {
			require.Equal(t, at, r.From)
			require.NotContains(t, r.Because, string(r.Rule)+": ")
			at = r.To
		}
		require.Equal(t, d.To, at)
	}
}

func TestWarningsOfTheAutoscalerComeWithTheDecisions(t *testing.T) {
	zero := strings.Replace(strings.ReplaceAll(kpaJSON, "\n", " "), `{"name": "llm"}, "spec"`, `{"name": "llm", "annotations": {"autoscaling.aibrix.ai/scale-to-zero": "true"}}, "spec"`, 1)
	a := answers(t, ask(zero, `{"t": 0, "replicas": 1, "ready": 1}`))
	require.Empty(t, a[0].Error)
	require.Len(t, a[0].Warnings, 1)
	require.Contains(t, a[0].Warnings[0], "minReplicas alone decides")
}

// Three endpoints export the same metric; one of them is silent.
func TestSourcesOfOneMetricAreToldApartInTheReasons(t *testing.T) {
	source := func(endpoint string) string {
		return `{"metricSourceType": "external", "endpoint": "` + endpoint + `", "targetMetric": "queue", "targetValue": "10"}`
	}
	three := kpaJSON[:strings.Index(kpaJSON, `{"metricSourceType"`)] + source("gw-1:80") + "," + source("gw-2:80") + "," + source("gw-3:80") + "]}}"
	a := answers(t, ask(three, `{"t": 0, "replicas": 3, "ready": 3, "windows": [{"source": 0, "stable": 20}, {"source": 1, "stable": 60}]}`))
	require.Empty(t, a[0].Error)
	because := a[0].Decisions[0].Reasons[0].Because
	require.Contains(t, because, "queue@gw-2:80/metrics asks for 6: 60 over 1m")
	require.Contains(t, because, "2 of 3 sources have data; no data from queue@gw-3:80/metrics: ")
}

type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errors.New("input/output error") }
func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestBrokenPipesEndIt(t *testing.T) {
	require.EqualError(t, decideLines(broken{}, io.Discard), "decide: read line 1: input/output error")
	require.EqualError(t, decideLines(strings.NewReader("x\n"), broken{}), "decide: answer line 1: no space left on device")
}

// Whatever a line is, it has one answer: decisions that chain, or an error.
func FuzzDecideLine(f *testing.F) {
	f.Add(ask(kpaJSON, `{"t": 0, "replicas": 1, "ready": 1, "windows": [{"source": 0, "stable": 5, "panic": 40}]}`))
	f.Add(ask(kpaJSON, `{"t": 1e11, "replicas": 2147483647, "ready": 0, "pending": 7, "windows": [{"source": 1, "stable": -1e300}]}`))
	f.Add(`{"autoscaler": null, "steps": [null]}`)
	f.Add("{")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "\n") || line == "" {
			return
		}
		a := answers(t, line)
		require.Len(t, a, 1)
		for _, d := range a[0].Decisions {
			require.Equal(t, d.From, d.Reasons[0].From)
			require.Equal(t, d.To, d.Reasons[len(d.Reasons)-1].To)
		}
	})
}
