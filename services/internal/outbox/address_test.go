package outbox

import (
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

func TestEveryEventHasAPlaceForTheClientsAddress(t *testing.T) {
	t.Parallel()
	for _, name := range events.Types() {
		fields := messageOf(t, name).ProtoReflect().Descriptor().Fields()
		personal := fields.ByName("personal")
		if personal == nil || personal.Message() == nil {
			t.Errorf("%s has no field personal", name)
			continue
		}
		if address := personal.Message().Fields().ByName("client_address"); address == nil || address.Kind() != protoreflect.StringKind {
			t.Errorf("%s has no personal.client_address", name)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	ada, grace, operator := id.NewAccount(), id.NewAccount(), id.NewOperator()
	number := id.NewServiceAccount()
	program := caller.Caller{Account: id.Account(number), ServiceAccount: number, Address: "192.0.2.6"}
	adas := caller.Caller{Account: ada, Address: "192.0.2.7"}
	for name, c := range map[string]struct {
		who  caller.Caller
		by   Origin
		want string
	}{
		"WhoDoesItIsCalling":            {adas, Origin{Account: ada}, "192.0.2.7"},
		"AnOperatorIsCalling":           {caller.Caller{Operator: operator, Address: "192.0.2.9"}, Origin{Operator: operator}, "192.0.2.9"},
		"AnotherBeganIt":                {adas, Origin{Account: grace}, ""},
		"TheSuiteDoesItOnTheWay":        {adas, Origin{Service: "membership", Cause: eventv1.Cause_KIND_EXPIRY}, ""},
		"SomebodyWithALinkIsNowAMember": {caller.Caller{Address: "192.0.2.8"}, Origin{Account: grace, Cause: eventv1.Cause_KIND_INVITE}, "192.0.2.8"},
		"SomebodyWithALinkWithoutAName": {caller.Caller{Address: "192.0.2.8"}, Origin{Service: "invitation", Cause: eventv1.Cause_KIND_SELF}, "192.0.2.8"},
		"AServiceAccountIsCalling":      {program, Origin{Account: program.Account}, "192.0.2.6"},
		"NobodyIsCalling":               {caller.Caller{}, Origin{Account: ada}, ""},
		"AServiceIsCallingForSomebody":  {caller.Caller{Service: "invitation"}, Origin{Account: ada}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := clientAddress(c.by.Context(t.Context()), c.who); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}

	t.Run("ItIsStoredWithWhatCanBeErased", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		organization := id.NewOrganization()
		ctx := caller.With(t.Context(), adas)
		err := b.db.InTx(ctx, postgres.In(organization), func(tx *postgres.Tx) error {
			context := Origin{Account: ada}.Context(ctx)
			if err := Publish(tx, organization, time.Now(), &eventv1.SeatAtLimit{Context: context}); err != nil {
				return err
			}
			return Publish(tx, organization, time.Now(), &eventv1.MemberAdded{Context: context, Personal: &eventv1.Personal{DisplayName: "Grace"}})
		})
		if err != nil {
			t.Fatal(err)
		}
		log := b.log(t, organization)
		for i, want := range []string{`{"clientAddress":"192.0.2.7"}`, `{"displayName":"Grace","clientAddress":"192.0.2.7"}`} {
			if string(log[i].Personal) != want {
				t.Errorf("stored %s, want %s", log[i].Personal, want)
			}
		}
		if err := Verify(log); err != nil {
			t.Error(err)
		}
	})
}
