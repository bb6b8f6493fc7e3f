package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// A request is repeated at instances whose key files differ, as they do while a key is turned.
func TestOnceWithAnotherKey(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "notes", nil)
	older, newer := [32]byte{1}, [32]byte{2}
	answer := func(key *seal.Key, scope postgres.Scope, secret, answer string) (string, error) {
		db, err := postgres.Open(t.Context(), "notes", dsns.Runtime, key, postgres.Options{Conns: 1})
		require.NoError(t, err)
		defer db.Close()
		request := postgres.Request{ID: "once", Principal: "ann", Method: "Create", Body: wrapperspb.String("body"), Secret: secret}
		said, _, err := postgres.Once(t.Context(), db, scope, request, func(*postgres.Tx) (*wrapperspb.StringValue, error) {
			return wrapperspb.String(answer), nil
		})
		return said.GetValue(), err
	}
	for name, keys := range map[string][2]*seal.Key{
		"R54 AtOneThatHasTurnedAlready":   {seal.NewKey(older, newer), seal.NewKey(newer, older)},
		"R54 AtOneThatHasNotTurnedYet":    {seal.NewKey(newer, older), seal.NewKey(older, newer)},
		"R54 AtOneThatKnowsTheSecondOnly": {seal.NewKey(newer, older), seal.NewKey(newer)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scope := postgres.In(id.NewOrganization())
			for _, secret := range []string{"plum harbor violin quartz", ""} {
				scope := scope
				if secret == "" {
					scope = postgres.In(id.NewOrganization())
				}
				first, err := answer(keys[0], scope, secret, "first")
				require.NoError(t, err)
				again, err := answer(keys[1], scope, secret, "again")
				require.NoError(t, err)
				require.Equal(t, first, again)
				_, err = answer(keys[1], scope, "another "+secret, "again")
				require.Equal(t, errorv1.Reason_REASON_REQUEST_ID_REUSED, fault.ReasonOf(err))
			}
		})
	}
}
