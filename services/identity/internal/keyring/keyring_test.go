package keyring

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/credential"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	signs := Key{ID: "signs", Active: true, CreateTime: ago(time.Hour), ActivateTime: ago(time.Hour)}
	next := Key{ID: "next", IsNext: true, CreateTime: ago(time.Hour)}
	young, old := next, signs
	young.CreateTime, old.ActivateTime = ago(time.Minute), ago(Period)
	retiring := Key{ID: "retiring", CreateTime: ago(2 * Period), ActivateTime: ago(Period), RetireTime: now.Add(time.Minute)}
	retired := retiring
	retired.ID, retired.RetireTime = "retired", now

	for name, c := range map[string]struct {
		ring  []Key
		order Order
		want  Plan
	}{
		"R49 TheFirst":                      {nil, Tend, Plan{First: true, Follow: true, Again: now.Add(Ahead)}},
		"R49 TheNextIsMadeAtOnce":           {[]Key{signs}, Tend, Plan{Follow: true, Again: now.Add(Ahead)}},
		"R49 AMonthLong":                    {[]Key{signs, next}, Tend, Plan{Again: signs.ActivateTime.Add(Period)}},
		"R49 ThenTheNext":                   {[]Key{old, next}, Tend, Plan{Retire: "signs", Next: "next", Until: now.Add(3 * time.Minute), Follow: true, Again: now.Add(3 * time.Minute)}},
		"R49 NotBeforeEverybodyKnowsIt":     {[]Key{old, young}, Tend, Plan{Again: young.CreateTime.Add(Ahead)}},
		"R49 ByOrder":                       {[]Key{signs, next}, Rotate, Plan{Retire: "signs", Next: "next", Until: now.Add(3 * time.Minute), Follow: true, Again: now.Add(3 * time.Minute)}},
		"R49 NeitherThenBeforeItIsKnown":    {[]Key{signs, young}, Rotate, Plan{Again: young.CreateTime.Add(Ahead)}},
		"R49 InAnEmergencyAtOnce":           {[]Key{signs, young}, Retire, Plan{Retire: "signs", Next: "next", Until: now.Add(35 * time.Second), Follow: true, Again: now.Add(35 * time.Second)}},
		"R49 WhatHasRetiredIsForgotten":     {[]Key{signs, next, retired}, Tend, Plan{Drop: []string{"retired"}, Again: signs.ActivateTime.Add(Period)}},
		"R49 WhatIsRetiringIsLookedAtAgain": {[]Key{signs, next, retiring}, Tend, Plan{Again: retiring.RetireTime}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, PlanOf(c.ring, c.order, now))
		})
	}
	t.Run("R49 TheTimesFitEachOther", func(t *testing.T) {
		t.Parallel()
		require.GreaterOrEqual(t, Ahead, 300*time.Second)
		require.Greater(t, Ahead, credential.KeysLife, "verifiers know it before it signs")
		require.Greater(t, afterwards, Lag+credential.Reuse+credential.Lifetime)
		require.Equal(t, Lag+credential.Reuse, emergency)
		require.LessOrEqual(t, emergency+credential.KeysLife, time.Minute, "then nobody believes it any more")
	})
}
