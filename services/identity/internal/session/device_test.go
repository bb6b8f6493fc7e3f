package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDevice(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                        "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":          "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                  "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                           "Chrome on Android",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                 "Firefox on Linux",
		"Firefox/140 (X11)":            "Firefox on Linux",
		"roster/1.2 (linux) grpc-go/1": "roster",
		"curl/8.5.0":                   "curl",
		"":                             "",
	} {
		require.Equal(t, want, Device(agent), agent)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	at := func(agent, address string) Place { return PlaceOf(Session{UserAgent: agent, Address: address}) }
	known := []Place{at("curl/8", "203.0.113.7"), at("roster/1", "2001:db8:1::1")}
	for name, c := range map[string]struct {
		place Place
		isNew bool
	}{
		"TheSame":                      {at("curl/9", "203.0.113.7"), false},
		"AnotherAddressOfTheNetwork":   {at("curl/9", "203.0.7.1"), false},
		"TheSameAddressMapped":         {at("curl/9", "::ffff:203.0.113.7"), false},
		"AKnownDeviceInAKnownNetwork":  {at("curl/9", "2001:db8:ffff::1%eth0"), false},
		"AnotherDevice":                {at("wget/1", "203.0.113.7"), true},
		"AnotherNetwork":               {at("curl/8", "198.51.100.1"), true},
		"AnotherNetworkOfTheOtherKind": {at("curl/8", "2001:db9::1"), true},
		"NobodyKnowsWhere":             {at("curl/8", ""), true},
	} {
		t.Run("R47_"+name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.isNew, c.place.New(known))
			require.False(t, c.place.New(nil), "the first of all")
		})
	}
}
