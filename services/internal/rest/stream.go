package rest

import (
	"context"
	"errors"
	"io"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// NewStream carries a method that answers with a file, which over REST is the body of the answer.
func (c *Conn) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &stream{ctx: ctx, conn: c, method: method}, nil
}

// stream is an answer that is read part by part.
type stream struct {
	ctx    context.Context
	conn   *Conn
	method string
	resp   *http.Response
}

func (s *stream) SendMsg(m any) (err error) {
	s.resp, err = s.conn.do(s.ctx, s.method, m.(proto.Message))
	return err
}

func (s *stream) RecvMsg(m any) error {
	part := make([]byte, 32<<10)
	n, err := io.ReadFull(s.resp.Body, part)
	if n > 0 && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		fillPart(m.(proto.Message), s.resp.Header, part[:n])
		return nil
	}
	s.resp.Body.Close()
	return err
}

func (s *stream) Header() (metadata.MD, error) { return nil, nil }
func (s *stream) Trailer() metadata.MD         { return nil }
func (s *stream) CloseSend() error             { return nil }
func (s *stream) Context() context.Context     { return s.ctx }

// fillPart makes of a part of a file the message that a gRPC client gets.
func fillPart(m proto.Message, h http.Header, data []byte) {
	part := m.ProtoReflect()
	fields := part.Descriptor().Fields()
	part.Set(fields.ByName("data"), protoreflect.ValueOfBytes(data))
	part.Set(fields.ByName("content_type"), protoreflect.ValueOfString(h.Get("Content-Type")))
}
