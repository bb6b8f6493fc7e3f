package fleet

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/rosterhq/roster/services/internal/network"
)

// Conn reaches every gRPC service of the fleet at the public listeners of its role, all copies in turn. A client in
// production has a proxy that does this by the service's name.
func (f *Fleet) Conn() grpc.ClientConnInterface { return f.conn }

func (f *Fleet) openConn(context.Context) error {
	f.conn = &router{conns: make(map[string]*grpc.ClientConn)}
	for _, service := range Services {
		var list []string
		for _, p := range f.Of(service) {
			list = append(list, f.at[p.Name].public)
		}
		conn, err := network.Plain().Dial("", service, strings.Join(list, ","))
		if err != nil {
			return err
		}
		f.conn.conns[service] = conn
	}
	return nil
}

// router picks the role by the name of the gRPC service: roster.billing.v1.SeatUsageService is billing's. What is nobody's any role may
// refuse.
type router struct{ conns map[string]*grpc.ClientConn }

func (r *router) of(method string) *grpc.ClientConn {
	if name := strings.SplitN(strings.TrimPrefix(method, "/"), ".", 3); len(name) == 3 && r.conns[name[1]] != nil {
		return r.conns[name[1]]
	}
	return r.conns[Services[0]]
}

func (r *router) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return r.of(method).Invoke(ctx, method, args, reply, opts...)
}

func (r *router) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return r.of(method).NewStream(ctx, desc, method, opts...)
}

func (r *router) close() {
	for _, conn := range r.conns {
		conn.Close()
	}
}
