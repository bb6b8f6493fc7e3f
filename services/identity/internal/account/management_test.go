package account

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestGround(t *testing.T) {
	t.Parallel()
	org, other := id.NewOrganization(), id.NewOrganization()
	ground := Ground{Domain: "works.example", DomainID: id.NewDomain(), VerifyTime: time.Unix(1, 0), JoinTime: time.Unix(2, 0)}
	managed := func(on Ground) Management {
		return Management{ManagedBy: org, Ground: on, SignInAllowed: true, Revision: 7}
	}

	t.Run("IsByOneOrganizationUntilTheGroundIsLost", func(t *testing.T) {
		t.Parallel()
		m := managed(ground)
		require.True(t, m.By(org))
		require.False(t, m.By(other))
		m.Ground.Lost = true
		require.False(t, m.By(org))
		heard, changed := m.SetSignIn(org, false, 8)
		require.False(t, heard || changed)
		require.False(t, Management{}.By(id.Organization{}), "nobody is no organization")
	})
	t.Run("RB20 JoiningAnotherOrganization", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			on, now Ground
			ends    bool
		}{
			"begins to rest on a ground":          {Ground{}, ground, false},
			"ends it without one":                 {Ground{}, Ground{}, true},
			"leaves it on the same ground":        {ground, ground, false},
			"ends it where the ground is no more": {ground, Ground{}, true},
			"ends it where the domain is another": {ground, Ground{DomainID: id.NewDomain(), VerifyTime: ground.VerifyTime, JoinTime: ground.JoinTime}, true},
			"ends it where the domain was lost":   {ground, Ground{DomainID: ground.DomainID, VerifyTime: time.Unix(3, 0), JoinTime: ground.JoinTime}, true},
			"ends it where the member was gone":   {ground, Ground{DomainID: ground.DomainID, VerifyTime: ground.VerifyTime, JoinTime: time.Unix(3, 0)}, true},
		} {
			m := managed(c.on)
			ended, enabled := m.Join(c.now)
			require.Equal(t, c.ends, ended, name)
			require.False(t, enabled, name)
			require.Equal(t, !c.ends, m.By(org), name)
			m = managed(c.on)
			m.SignInAllowed = false
			_, enabled = m.Join(c.now)
			require.Equal(t, c.ends, enabled, name)
			require.Equal(t, c.ends, m.SignInAllowed, name)
			require.Equal(t, c.ends, m == Management{SignInAllowed: true}, name)
		}
	})
	t.Run("RB20 R66 MovingToAnotherDomainEndsWhatRestsOnTheOneBefore", func(t *testing.T) {
		t.Parallel()
		m := managed(Ground{})
		ended, _ := m.Move("elsewhere.example")
		require.False(t, ended, "that rests on belonging to nobody else")
		m = managed(ground)
		ended, _ = m.Move("works.example")
		require.False(t, ended)
		ended, _ = m.Move("elsewhere.example")
		require.True(t, ended)
		require.Equal(t, Management{SignInAllowed: true}, m)
	})
}
