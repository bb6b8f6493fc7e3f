package fleet_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/events"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/cli"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// An operator deals with an event that a service cannot handle, where NATS allows nobody more than needed.
func TestDeadLettersOfAService(t *testing.T) {
	t.Parallel()
	f := start(t, fleet.Config{})
	ada, err := newcomer.SignUp(t.Context(), f.Conn(), newcomer.In(f.Mail), "ada@example.com")
	require.NoError(t, err)
	token := ada.Session
	require.NoError(t, overGRPC(t.Context(), f, token, 1))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	rename := func(name string) {
		t.Helper()
		_, err := identityv1.NewAccountServiceClient(f.Conn()).UpdateMe(ctx, &identityv1.UpdateMeRequest{DisplayName: name})
		require.NoError(t, err)
	}
	mine, err := membershipv1.NewOrganizationServiceClient(f.Conn()).ListOrganizations(ctx, &membershipv1.ListOrganizationsRequest{})
	require.NoError(t, err)
	listed := func() string {
		people, err := membershipv1.NewMemberServiceClient(f.Conn()).ListPeople(ctx, &membershipv1.ListPeopleRequest{
			OrganizationId: mine.GetOrganizations()[0].GetId()})
		require.NoError(t, err)
		return people.GetPeople()[0].GetDisplayName()
	}
	me, err := identityv1.NewAccountServiceClient(f.Conn()).GetMe(ctx, &identityv1.GetMeRequest{})
	require.NoError(t, err)
	parked := []string{"membership-people", "identity", me.GetAccount().GetId()}

	owner, err := pgx.Connect(t.Context(), f.DSN("membership", "membership_owner"))
	require.NoError(t, err)
	defer owner.Close(context.Background())
	do := func(statement string) {
		t.Helper()
		_, err := owner.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	certs := filepath.Join(filepath.Dir(f.Broker.LogFile()), "certs")
	env := map[string]string{
		"ROSTER_NATS": f.NATS, "ROSTER_NATS_CA": filepath.Join(certs, "ca.pem"),
		"ROSTER_NATS_CERT": filepath.Join(certs, "operator.pem"), "ROSTER_NATS_KEY": filepath.Join(certs, "operator.key"),
	}
	dlq := func(args ...string) (code int, said string) {
		var out bytes.Buffer
		code = cli.Run(t.Context(), cli.Console{In: strings.NewReader(""), Out: &out, Err: &out, ConfigDir: t.TempDir(), Now: time.Now,
			Getenv: func(name string) string { return env[name] }}, append([]string{"events", "dlq"}, args...))
		return code, out.String()
	}
	waiting := func(text string) (said string) {
		t.Helper()
		require.Eventually(t, func() bool {
			var code int
			code, said = dlq("list")
			require.Zero(t, code, said)
			return strings.Contains(said, text)
		}, time.Minute, 50*time.Millisecond, "%s is listed", text)
		return said
	}
	waiting("Nothing is parked.")

	do(`ALTER TABLE people ADD CONSTRAINT no_kings CHECK (display_name <> 'Ada King')`)
	rename("Ada King")
	require.Contains(t, waiting(me.GetAccount().GetId()), "no_kings")
	conn, err := f.ConnectNATS()
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), events.DeadLetters("membership-people"))
	require.NoError(t, err)
	letter, err := stream.GetLastMsgForSubject(t.Context(), events.DeadLetterRoot+strings.Join(parked, "."))
	require.NoError(t, err)
	require.NotContains(t, string(letter.Data), "King")

	code, said := dlq(append([]string{"retry"}, parked...)...)
	require.NotZero(t, code)
	require.Contains(t, said, "no_kings")
	do(`ALTER TABLE people DROP CONSTRAINT no_kings`)
	code, said = dlq(append([]string{"retry"}, parked...)...)
	require.Zero(t, code, said)
	require.Equal(t, "Ada King", listed())
	waiting("Nothing is parked.")

	do(`ALTER TABLE people ADD CONSTRAINT no_byrons CHECK (display_name <> 'Ada Byron')`)
	rename("Ada Byron")
	waiting("no_byrons")
	code, said = dlq(append([]string{"skip"}, parked...)...)
	require.Zero(t, code, said)
	waiting("Nothing is parked.")
	rename("Ada Lovelace")
	require.Eventually(t, func() bool { return listed() == "Ada Lovelace" }, time.Minute, 20*time.Millisecond, "the service goes on")
}
