package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/store"
)

// stranger is a client that has no stubs: all it knows of the service it has from the server's reflection.
type stranger struct {
	t       *testing.T
	conn    *grpc.ClientConn
	service protoreflect.ServiceDescriptor
}

const decisionService = "flyball.decision.v1.DecisionService"

func newStranger(t *testing.T, address string) *stranger {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx, grpc.WaitForReady(true))
	require.NoError(t, err)
	ask := func(req *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		require.NoError(t, stream.Send(req))
		resp, err := stream.Recv()
		require.NoError(t, err)
		return resp
	}
	var names []string
	for _, s := range ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}).GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	require.Subset(t, names, []string{decisionService, "externalscaler.ExternalScaler", "grpc.health.v1.Health"})
	set := &descriptorpb.FileDescriptorSet{}
	for _, raw := range ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: decisionService},
	}).GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		require.NoError(t, proto.Unmarshal(raw, file))
		set.File = append(set.File, file)
	}
	files, err := protodesc.NewFiles(set)
	require.NoError(t, err)
	found, err := files.FindDescriptorByName(decisionService)
	require.NoError(t, err)
	return &stranger{t, conn, found.(protoreflect.ServiceDescriptor)}
}

// question makes a request of JSON.
func (s *stranger) question(method, req string) (path string, in, out *dynamicpb.Message) {
	s.t.Helper()
	m := s.service.Methods().ByName(protoreflect.Name(method))
	require.NotNil(s.t, m, method)
	in, out = dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	require.NoError(s.t, protojson.Unmarshal([]byte(req), in))
	return "/" + decisionService + "/" + method, in, out
}

// ask calls a method, in JSON both ways.
func (s *stranger) ask(method, req string, answer any) {
	s.t.Helper()
	path, in, out := s.question(method, req)
	require.NoError(s.t, s.conn.Invoke(context.Background(), path, in, out, grpc.WaitForReady(true)))
	s.read(out, answer)
}

func (s *stranger) read(m proto.Message, answer any) {
	b, err := protojson.Marshal(m)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(b, answer))
}

// told is a decision as far as the stranger cares for it, and event one of a watch.
type told struct {
	Namespace, Name string
	Sequence        uint64 `json:",string"`
	At              time.Time
	To              int32
}

type event struct {
	Decision    *told
	Synced      *struct{ Resumed bool }
	ResumeToken string
	Skipped     int
}

// memory is what the stranger has heard of, from watches and from history.
type memory struct {
	*stranger
	token   string
	known   map[uint64]told
	last    map[string]told // by namespace/name
	skipped int
}

func (m *memory) learn(d told) {
	m.known[d.Sequence] = d
	if who := d.Namespace + "/" + d.Name; d.Sequence > m.last[who].Sequence {
		m.last[who] = d
	}
}

// watch takes in events until one is as it should be, or the stream ends.
func (m *memory) watch(until func(event) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path, in, out := m.question("WatchDecisions", fmt.Sprintf(`{"resumeToken": %q}`, m.token))
	stream, err := m.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path, grpc.WaitForReady(true))
	require.NoError(m.t, err)
	require.NoError(m.t, stream.SendMsg(in))
	require.NoError(m.t, stream.CloseSend())
	for {
		proto.Reset(out)
		if err := stream.RecvMsg(out); err != nil {
			return err
		}
		var e event
		m.read(out, &e)
		m.token, m.skipped = e.ResumeToken, m.skipped+e.Skipped
		if e.Decision != nil {
			m.learn(*e.Decision)
		}
		if until(e) {
			return nil
		}
	}
}

// recover asks history for what came after what was known at some time, page by page.
func (m *memory) recover(since map[string]told, end time.Time) {
	for _, from := range since {
		for token := ""; ; {
			var page struct {
				Decisions     []told
				NextPageToken string
			}
			m.ask("ListDecisions", fmt.Sprintf(`{"namespace": %q, "name": %q, "startTime": %q, "endTime": %q, "pageSize": 2, "pageToken": %q}`,
				from.Namespace, from.Name, from.At.Format(time.RFC3339Nano), end.Format(time.RFC3339Nano), token), &page)
			for _, d := range page.Decisions {
				m.learn(d)
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
	}
}

// A client that knows nothing but the address watches, loses the server, comes back to the restarted one with its token, and
// asks history for what it missed: in the end it knows every decision that the journal has.
func TestAStrangerMissesNothingOverARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var loads [2]atomic.Int64
	for i, ns := range []string{"a", "b"} {
		r.pod(ns, "llm", "llm-0", r.exporter(func(w http.ResponseWriter, req *http.Request) { page("queue %d\n", loads[i].Load())(w, req) }))
		r.autoscaler(ns, "llm", queueSource)
		loads[i].Store(45)
	}
	address := r.service.grpc.Addr().String()
	stop := r.start()
	m := &memory{stranger: newStranger(t, address), known: map[uint64]told{}, last: map[string]told{}}
	require.NoError(t, m.watch(func(event) bool { return m.last["a/llm"].To == 5 && m.last["b/llm"].To == 5 }))

	// The watch is on when the server stops.
	ended := make(chan error, 1)
	go func() { ended <- m.watch(func(event) bool { return false }) }()
	resp, err := http.Get("http://" + r.service.listener.Addr().String() + "/api/decision/v1/watch")
	require.NoError(t, err)
	defer resp.Body.Close()
	loads[0].Store(95)
	r.await(map[string]func(decider.Decision) error{"a/llm": to(10)})
	stop()
	require.Equal(t, codes.Unavailable, status.Code(<-ended))
	lines, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(lines), "the server stops", "over HTTP the last line says so too")
	before := map[string]told{"a/llm": m.last["a/llm"], "b/llm": m.last["b/llm"]}

	// While the client is away, more than one decision is made.
	r.open(address)
	stop = r.start()
	defer func() { stop() }()
	for _, load := range []int64{115, 135, 155} {
		loads[0].Store(load)
		r.await(map[string]func(decider.Decision) error{"a/llm": to(int32(load)/10 + 1)})
	}
	resumed := false
	require.NoError(t, m.watch(func(e event) bool {
		resumed = resumed || e.Synced != nil && e.Synced.Resumed
		return e.Synced != nil
	}))
	require.True(t, resumed, "the store is the same, so the token is good")
	require.EqualValues(t, 16, m.last["a/llm"].To)
	loads[1].Store(85)
	require.NoError(t, m.watch(func(event) bool { return m.last["b/llm"].To == 9 }))

	end := m.last["b/llm"].At
	var shown struct {
		Autoscalers []struct{ Namespace, Name string }
	}
	m.ask("ListAutoscalers", `{}`, &shown)
	require.Len(t, shown.Autoscalers, 2)
	byWatch := len(m.known)
	m.recover(before, end)
	require.Greater(t, len(m.known), byWatch, "the watch alone could not know what was made and replaced meanwhile")
	var why struct{ Text string }
	m.ask("Explain", fmt.Sprintf(`{"namespace": "b", "name": "llm", "at": %q}`, end.Format(time.RFC3339)), &why)
	text, err := explained("b/llm", explainOptions{server: "http://" + r.service.listener.Addr().String(), at: end.Format(time.RFC3339)})
	require.NoError(t, err)
	require.Equal(t, text, why.Text)
	_, err = healthv1.NewHealthClient(m.conn).Check(context.Background(), &healthv1.HealthCheckRequest{Service: "externalscaler.ExternalScaler"})
	require.NoError(t, err)

	stop()
	require.Equal(t, recorded(t, r.data(), end), sequences(m.known, end))
}

// sequences are those of the decisions up to a time.
func sequences(known map[uint64]told, end time.Time) (out []uint64) {
	for n, d := range known {
		if !d.At.After(end) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// recorded are the sequences of all decisions in a store's journal up to a time.
func recorded(t *testing.T, dir string, end time.Time) (out []uint64) {
	t.Helper()
	require.NoError(t, store.ReadJournal(dir, func(j *store.Journal) error {
		keys, err := j.Keys(loop.KindDecision)
		require.NoError(t, err)
		for _, key := range keys {
			require.NoError(t, j.Range(loop.KindDecision, key, time.Unix(0, 0), end, func(rec store.Record) error {
				var full loop.Record
				require.NoError(t, json.Unmarshal(rec.Data, &full))
				out = append(out, full.Sequence)
				return nil
			}))
		}
		return nil
	}))
	slices.Sort(out)
	return out
}

// The addresses are taken when the service is made, and one that somebody else has is said with what to do.
func TestAnAddressThatIsTakenIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	defer func() { require.NoError(t, r.service.close()) }()
	taken := r.service.grpc.Addr().String()
	o := r.service.opts
	o.Dir, o.GRPC.Listen = t.TempDir(), taken
	_, err := newService(o)
	require.ErrorContains(t, err, "listen on "+taken)
	require.ErrorContains(t, err, "choose another address with --grpc-listen")
	o.GRPC.Listen, o.Listen = "127.0.0.1:0", taken
	_, err = newService(o)
	require.ErrorContains(t, err, "choose another address with --listen")
}
