package rpc

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxCall bounds one call that is no stream, as HTTP's queries are.
const maxCall = 30 * time.Second

// guardUnary bounds a call, and makes a status of whatever comes of it.
func (s *Server) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, call grpc.UnaryHandler) (resp any, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, s.panicked(info.FullMethod, p)
		}
	}()
	resp, err = call(ctx, req)
	return resp, s.told(info.FullMethod, err)
}

// guardStream ends a stream when the server stops, and makes a status of whatever comes of it.
func (s *Server) guardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, call grpc.StreamHandler) (err error) {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(info.FullMethod, p)
		}
	}()
	err = call(srv, stoppable{stream, ctx})
	if err != nil && s.stopping.Err() != nil {
		return fail(codes.Unavailable, reasonStopping, "the server stops; ask again in a few seconds")
	}
	return s.told(info.FullMethod, err)
}

// stoppable is a stream that ends with the server.
type stoppable struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stoppable) Context() context.Context { return s.ctx }

// panicked is the answer to a call whose handler has a bug. The rest of the process decides on.
func (s *Server) panicked(method string, p any) error {
	s.Log.Error("panic in a call", zap.String("method", method), zap.Any("panic", p), zap.Stack("stack"))
	return fail(codes.Internal, reasonInternal, fmt.Sprintf("%s: a bug in flyball; its log has more", method))
}

// told is the status that a client is told of an error; what is flyball's own fault is logged too.
func (s *Server) told(method string, err error) error {
	err = statusOf(err)
	if status.Code(err) == codes.Internal {
		s.Log.Error("call failed", zap.String("method", method), zap.Error(err))
	}
	return err
}
