package factor

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

// TestCode has the vectors of RFC 6238, appendix B, in six digits, and of RFC 4226, appendix D.
func TestCode(t *testing.T) {
	t.Parallel()
	secret := Secret("12345678901234567890")
	for seconds, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		t.Run("RFC 6238 R31 "+code, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, code, secret.Code(StepAt(time.Unix(seconds, 0))))
		})
	}
	t.Run("RFC 4226", func(t *testing.T) {
		t.Parallel()
		ofCounters(t, secret)
	})
}

func ofCounters(t *testing.T, secret Secret) {
	t.Helper()
	for i, code := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		require.Equal(t, code, secret.Code(int64(i)))
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	secret, now := NewSecret(), time.Unix(1_800_000_000, 0)
	middle := StepAt(now)
	for name, c := range map[string]struct {
		step, last int64
		ok         bool
	}{
		"R31 TheCodeOfNow":           {step: middle, ok: true},
		"R31 OneStepLate":            {step: middle - 1, ok: true},
		"R31 OneStepEarly":           {step: middle + 1, ok: true},
		"R31 TwoStepsLate":           {step: middle - 2},
		"R31 TwoStepsEarly":          {step: middle + 2},
		"R31 UsedBefore":             {step: middle, last: middle},
		"R31 OlderThanTheLastUsed":   {step: middle - 1, last: middle},
		"R31 NewerThanTheLastUsed":   {step: middle + 1, last: middle, ok: true},
		"R31 AfterTheClockWentAhead": {step: middle, last: middle + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, ok := secret.Match(secret.Code(c.step), c.last, now)
			require.Equal(t, c.ok, ok)
			if ok {
				require.Equal(t, c.step, at)
			}
		})
	}
	for _, none := range []string{"", "00000", secret.Code(middle) + "0", secret.Code(middle)[:5]} {
		_, ok := secret.Match(none, 0, now)
		require.False(t, ok, none)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	t.Run("R30 OneHundredAndSixtyBits", func(t *testing.T) {
		t.Parallel()
		require.Len(t, NewSecret(), 20)
		require.NotEqual(t, NewSecret(), NewSecret())
		require.Regexp(t, `^[A-Z2-7]{32}$`, NewSecret().Text())
	})
	t.Run("AppsReadTheURI", func(t *testing.T) {
		t.Parallel()
		secret := NewSecret()
		uri, err := url.Parse(secret.URI("a?b&c=d/e@example.com"))
		require.NoError(t, err)
		require.Equal(t, "otpauth", uri.Scheme)
		require.Equal(t, "totp", uri.Host)
		require.Equal(t, "/Roster:a?b&c=d/e@example.com", uri.Path)
		require.Equal(t, url.Values{"secret": {secret.Text()}, "issuer": {"Roster"}}, uri.Query())
	})
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	t.Run("R33 TenOfOneHundredAndTwentyBits", func(t *testing.T) {
		t.Parallel()
		codes := NewRecoveryCodes(id.NewAccount())
		require.Len(t, codes, 10)
		seen := map[string]bool{}
		for _, code := range codes {
			require.Regexp(t, regexp.MustCompile(`^([A-Z2-7]{4}-){5}[A-Z2-7]{4}$`), code.Text())
			seen[code.Text()] = true
		}
		require.Len(t, seen, 10)
	})
	t.Run("R33 TheHashIsOfOneAccount", func(t *testing.T) {
		t.Parallel()
		owner := id.NewAccount()
		code := NewRecoveryCodes(owner)[0]
		require.Equal(t, code.Hash, ParseRecoveryCode(owner, code.Text()).Hash)
		require.Equal(t, code.Hash, ParseRecoveryCode(owner, strings.ToLower(strings.ReplaceAll(code.Text(), "-", " "))).Hash)
		require.NotEqual(t, code.Hash, ParseRecoveryCode(id.NewAccount(), code.Text()).Hash)
		require.NotEqual(t, code.Hash, ParseRecoveryCode(owner, code.Text()[1:]).Hash)
	})
	t.Run("DigitsAreNoRecoveryCode", func(t *testing.T) {
		t.Parallel()
		for typed, want := range map[string]bool{"123456": true, "123 456": true, "12345": false, "1234567": false, "12345x": false, "": false} {
			_, ok := Digits(typed)
			require.Equal(t, want, ok, typed)
		}
	})
}
