package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
)

// fleetOfThree is a service that decides for three: one is overloaded, one idle, and one can't be read.
func fleetOfThree(t *testing.T) (server string) {
	r := newRig(t)
	r.pod("a", "busy", "busy-0", r.exporter(page("queue 45\n")))
	r.pod("b", "calm", "calm-0", r.exporter(page("queue 3\n")))
	r.pod("c", "blind", "blind-0", r.exporter(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "gone fishing", http.StatusServiceUnavailable)
	}))
	for _, who := range []string{"a/busy", "b/calm", "c/blind"} {
		namespace, name, _ := strings.Cut(who, "/")
		r.autoscaler(namespace, name, queueSource)
	}
	r.run()
	r.await(map[string]func(decider.Decision) error{"a/busy": to(5), "b/calm": to(1), "c/blind": holds(1, "0 of 1 exporters answer")})
	return "http://" + r.service.listener.Addr().String()
}

// asAPI is what the API itself answers, without blanks.
func asAPI(t *testing.T, url string, into proto.Message) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, protojson.Unmarshal(body, into), string(body))
}

// get says what the API says, in each of its forms; top says the same fleet by how much it needs somebody.
func TestGetAndTopShowTheFleet(t *testing.T) {
	t.Parallel()
	server := fleetOfThree(t)
	run := func(args ...string) string {
		t.Helper()
		out, notes, err := typed(context.Background(), "flyball", append(args, "--server", server)...)
		require.NoError(t, err)
		require.Empty(t, notes)
		return out
	}

	// Decisions are made while the three ask, one a second; between two answers of the API that are equal, get's is too.
	for equal := false; !equal; {
		var before, after, listed decisionv1.ListAutoscalersResponse
		asAPI(t, server+"/api/decision/v1/autoscalers", &before)
		out := run("get", "-o", "json")
		asAPI(t, server+"/api/decision/v1/autoscalers", &after)
		if equal = proto.Equal(&before, &after); equal {
			require.NoError(t, protojson.Unmarshal([]byte(out), &listed))
			require.True(t, proto.Equal(&before, &listed), out)
		}
	}
	var one decisionv1.Autoscaler
	asJSON, err := yaml.YAMLToJSON([]byte(run("get", "busy", "-n", "a", "-o", "yaml")))
	require.NoError(t, err)
	require.NoError(t, protojson.Unmarshal(asJSON, &one))
	require.Equal(t, "a/busy", one.Namespace+"/"+one.Name)
	require.Equal(t, "a/busy\nb/calm\nc/blind\n", run("get", "-o", "name"))
	require.Equal(t, "b/calm\n", run("get", "-n", "b", "-o", "name"))

	lines := strings.Split(run("get", "-A"), "\n")
	require.Len(t, lines, 5)
	require.Equal(t, strings.Fields("NAMESPACE NAME TARGET MIN MAX REPLICAS WANTED READY STRATEGY MODE WHY AGE"), strings.Fields(lines[0]))
	require.Regexp(t, `^a +busy +Workload/busy +1 +20 +1 +5 +1 +KPA +Advise +(need: queue asks for 5|panic: entered): .* \d+s$`, lines[1])
	require.Regexp(t, `^b +calm +Workload/calm +1 +20 +1 +1 +1 +KPA +Advise +steady: queue asks for 1`, lines[2])
	require.Regexp(t, `^c +blind .* no-data: hold at 1: queue has had no sample`, lines[3])
	wide := run("get", "-o", "wide")
	require.Contains(t, wide, "   queue=45/10     ")
	require.Contains(t, wide, "   queue=3/10      steady: ")
	require.Contains(t, wide, "   queue=missing   no-data: ")
	require.Len(t, strings.Split(run("get", "c/blind"), "\n"), 3, "the header, and one")

	lines = strings.Split(run("top"), "\n")
	require.Equal(t, strings.Fields("NAMESPACE NAME LOAD/TARGET% REPLICAS READY WANTED COVERAGE OLDEST-SAMPLE PANIC PROBLEM"), strings.Fields(lines[0]))
	require.Regexp(t, `^c +blind +- +1 +1 +1 +0% +- +- +no-data: hold at 1`, lines[1])
	require.Regexp(t, `^a +busy +450 +1 +1 +5 +\d+% +\S+ +[0-4]s +-$`, lines[2])
	require.Regexp(t, `^b +calm +30 +1 +1 +1 +\d+% +\S+ +- +-$`, lines[3])

	_, _, err = typed(context.Background(), "flyball", "get", "a/bussy", "--server", server)
	require.ErrorContains(t, err, "get: a/bussy: no autoscaler of that name is decided for; the nearest are a/busy")
	out, notes, err := typed(context.Background(), "flyball", "get", "-n", "nowhere", "--server", server)
	require.NoError(t, err)
	require.Empty(t, out)
	require.Equal(t, "no autoscaler is decided for in namespace nowhere\n", notes)
}
