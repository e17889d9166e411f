package rpc

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// JSON is how messages are said in JSON, here and by the command line: names in lowerCamelCase, and zeros too, since 0 replicas
// are a fact. What is absent is left out. Sequences are strings, as protobuf has it for 64 bits, and enums are their names.
var JSON = protojson.MarshalOptions{EmitDefaultValues: true}

const (
	// pipeBytes is how much of an answer is under way in memory between the gateway and the service.
	pipeBytes = 256 << 10
	// maxAnswer bounds an answer on that way. 10,000 decisions of a what-if take 10 MB.
	maxAnswer = 64 << 20
)

// gateway answers /api/decision/v1/ by asking DecisionService in memory.
type gateway struct {
	pipe *bufconn.Listener
	conn *grpc.ClientConn
	mux  *runtime.ServeMux
}

func (s *Server) openGateway() (*gateway, error) {
	g := &gateway{pipe: bufconn.Listen(pipeBytes)}
	var err error
	g.conn, err = grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.pipe.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, fmt.Errorf("connect the JSON gateway: %w", err)
	}
	g.mux = runtime.NewServeMux(runtime.WithDisablePathLengthFallback(),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{MarshalOptions: JSON}))
	if err := decisionv1.RegisterDecisionServiceHandlerClient(context.Background(), g.mux, decisionv1.NewDecisionServiceClient(g.conn)); err != nil {
		return nil, fmt.Errorf("route the JSON gateway: %w", err)
	}
	s.gateway.Store(g)
	return g, nil
}

// Gateway is DecisionService as JSON over HTTP, below /api/decision/v1/, for as long as Serve runs. An error is a
// google.rpc.Status with the HTTP code that belongs to its code. A watch is a JSON object per line: {"result": …}, and in the
// end {"error": …}.
func (s *Server) Gateway() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := s.gateway.Load()
		if g == nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `{"code":%d,"message":"flyball is starting; ask again in a few seconds","details":[]}`+"\n", codes.Unavailable)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxMessage)
		g.mux.ServeHTTP(w, r)
	})
}
