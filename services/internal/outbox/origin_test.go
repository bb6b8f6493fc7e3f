package outbox

import (
	"testing"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

func TestOriginTellsAServiceAccountFromAPerson(t *testing.T) {
	t.Parallel()
	program, ada := id.NewServiceAccount(), id.NewAccount()
	ctx := caller.With(t.Context(), caller.Caller{Account: id.Account(program), ServiceAccount: program})
	for name, c := range map[string]struct {
		by   id.Account
		want *eventv1.Actor
	}{
		"ItActs":       {id.Account(program), &eventv1.Actor{Kind: eventv1.Actor_KIND_SERVICE_ACCOUNT, Id: program.String()}},
		"AnotherActed": {ada, &eventv1.Actor{Kind: eventv1.Actor_KIND_ACCOUNT, Id: ada.String()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (Origin{Account: c.by}).Context(ctx).GetActor(); !proto.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
