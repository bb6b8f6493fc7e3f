package gateway

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
)

// part is a message of a stream that is a file, piece by piece: the client gets the file itself.
type part interface {
	GetData() []byte
	GetContentType() string
}

// partTime is how long a client may take for one part. The server's limit is for answers that come at once.
const partTime = time.Minute

// prepareFile says that what comes is to be kept, not shown.
func prepareFile(_ context.Context, w http.ResponseWriter, answer proto.Message) error {
	if _, ok := answer.(part); !ok {
		return nil
	}
	w.Header().Set("Content-Disposition", "attachment")
	return http.NewResponseController(w).SetWriteDeadline(time.Now().Add(partTime))
}

// asFile makes grpc-gateway write a part as it is.
func asFile(_ context.Context, answer proto.Message) (any, error) {
	if p, ok := answer.(part); ok {
		return &httpbody.HttpBody{ContentType: p.GetContentType(), Data: p.GetData()}, nil
	}
	return answer, nil
}

// cut ends an answer that has begun and cannot be finished. A client must not take half a file for a whole one, so the
// connection breaks: nothing else can be said any more.
func (e *edge) cut(ctx context.Context, err error) *status.Status {
	c := callFrom(ctx)
	c.note(err)
	if f := fault.From(err); f != nil {
		c.reason = f.Name()
	}
	panic(http.ErrAbortHandler)
}
