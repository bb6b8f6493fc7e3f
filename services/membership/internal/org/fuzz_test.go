package org

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzParseZone(f *testing.F) {
	for _, seed := range []string{"UTC", "Europe/Berlin", "Local", "", "../../etc/passwd", "/etc/localtime", "europe/berlin", "Etc/GMT+12"} {
		f.Add(seed, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, name string, unix int64) {
		zone, err := ParseZone(name)
		if err != nil {
			return
		}
		require.NotContains(t, name, "..")
		at := time.Unix(unix%(1<<33), 0)
		clock := zone.clock(at)
		require.False(t, zone.clock(zone.reach(clock)).Before(clock), "%s at %s", name, at)
	})
}

func FuzzRole(f *testing.F) {
	f.Add("Recruiter", "Hires people.", "#00FF00", "members.read")
	f.Add("Owner", "", "", "org.delete")
	f.Add("\u202e", "a\nb", "red", "app:x.y")
	f.Fuzz(func(t *testing.T, name, description, color, permission string) {
		var r Role
		if r.parse(Words{name, description, color, []string{permission}}, Registry{}) != nil {
			return
		}
		require.False(t, reserved(foldName(r.DisplayName)))
		require.True(t, givable.Has(permission))
		var again Role
		require.NoError(t, again.parse(r.Words(), Registry{}))
		require.Equal(t, r.Words(), again.Words())
		require.Regexp(t, regexp.MustCompile(`^[a-z][a-z0-9-]*$`), KeyFor(name))
	})
}

func FuzzRegistered(f *testing.F) {
	f.Add("app:billing.refund", "Refund", "member")
	f.Add("app:Billing..x", "", "owner")
	f.Fuzz(func(t *testing.T, name, display, held string) {
		after, _, err := Registry{}.Replace([]Registered{{Name: name, DisplayName: display, HeldBy: []string{held}}})
		if err != nil {
			return
		}
		require.Regexp(t, `^app:[a-z0-9_]+\.[a-z0-9_]+$`, name)
		require.Len(t, after.Permissions, 1)
	})
}
