package role

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/certs"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/outbox"
)

func TestNATSPermissions(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	for _, service := range events.Services() {
		require.NoError(t, outbox.EnsureStream(t.Context(), b.js(t, service), service, 1))
	}

	t.Run("R58_AServiceDoesWhatItMust", func(t *testing.T) {
		t.Parallel()
		for service := range consumers {
			js := b.js(t, service)
			require.NoError(t, outbox.EnsureStream(t.Context(), js, service, 1), "again")
			for _, subject := range events.Subjects(service) {
				subject = strings.TrimSuffix(subject, ">") + "tested.0." + id.NewOrganization().String()
				ack, err := js.Publish(t.Context(), subject, nil)
				require.NoError(t, err, subject)
				require.Equal(t, events.Stream(service), ack.Stream)
			}
		}
		for service, consumer := range consumers {
			js := b.js(t, service)
			for _, other := range consumer.hears {
				made, err := js.CreateOrUpdateConsumer(t.Context(), events.Stream(other), jetstream.ConsumerConfig{Durable: consumer.name})
				require.NoError(t, err)
				first, err := made.Next(jetstream.FetchMaxWait(soon))
				require.NoError(t, err)
				require.NoError(t, first.DoubleAck(t.Context()))
			}
		}
	})

	t.Run("R58_OthersEventsAreNotPublished", func(t *testing.T) {
		t.Parallel()
		for _, user := range append(events.Services(), "gateway", "operator", "subscriber") {
			conn := b.as(t, user)
			for _, service := range events.Services() {
				for _, subject := range events.Subjects(service) {
					subject = strings.TrimSuffix(subject, ">") + "forged.0." + b.organization
					require.Equal(t, user == service, mayPublish(t, conn, subject), "%s publishes %s", user, subject)
				}
			}
			for _, subject := range []string{"roster.v1.other.made.0.org_x", "roster.v2.member.added.0.org_x", "other", "_INBOX.membership.x", "$SYS.REQ.SERVER.PING"} {
				require.False(t, mayPublish(t, conn, subject), "%s publishes %s", user, subject)
			}
		}
	})

	t.Run("R83_AServiceAloneKeepsItsCheckpointsAndNobodyTakesOneOut", func(t *testing.T) {
		t.Parallel()
		for _, service := range []string{"membership", "invitation", "billing"} {
			js, name, subject := b.js(t, service), events.Stream(service)+"_CHECKPOINTS", "roster.checkpoint."+service+"."+b.organization+".1"
			_, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{
				Name: name, Subjects: []string{"roster.checkpoint." + service + ".>"}, AllowDirect: true, DenyDelete: true, DenyPurge: true, MaxMsgsPerSubject: 1})
			require.NoError(t, err)
			for last := range uint64(2) {
				_, err = js.Publish(t.Context(), subject, nil, jetstream.WithExpectLastSequencePerSubject(last))
				require.NoError(t, err)
			}
			stream, err := js.Stream(t.Context(), name)
			require.NoError(t, err)
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("roster.checkpoint."+service+"."+b.organization+".*"))
			require.NoError(t, err)
			require.Contains(t, info.State.Subjects, subject)
			_, err = stream.GetLastMsgForSubject(t.Context(), subject)
			require.NoError(t, err)

			for _, user := range append(events.Services(), "gateway", "operator", "subscriber") {
				conn := b.as(t, user)
				require.Equal(t, user == service, mayPublish(t, conn, subject), "%s publishes %s", user, subject)
				for verb, may := range map[string]bool{
					"CREATE": user == service, "UPDATE": user == service, "INFO": user == service || user == "operator",
					"DELETE": false, "PURGE": false, "MSG.DELETE": false, "SNAPSHOT": false, "RESTORE": false,
				} {
					asked := "$JS.API.STREAM." + verb + "." + name
					require.Equal(t, may, mayPublish(t, conn, asked), "%s asks for %s", user, asked)
				}
			}
		}
	})

	t.Run("R58_AServiceHasItsOwnStreamAndTakesNothingOut", func(t *testing.T) {
		t.Parallel()
		for _, service := range events.Services() {
			conn := b.as(t, service)
			for _, of := range append(events.Services(), "other") {
				may := []string{}
				if of == service {
					may = append(may, "CREATE", "UPDATE", "INFO")
				}
				if slices.Contains(consumers[service].hears, of) {
					may = append(may, "INFO")
				}
				for _, verb := range []string{"CREATE", "UPDATE", "INFO", "DELETE", "PURGE", "MSG.DELETE", "MSG.GET", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"} {
					subject := "$JS.API.STREAM." + verb + "." + events.Stream(of)
					require.Equal(t, slices.Contains(may, verb), mayPublish(t, conn, subject), "%s asks for %s", service, subject)
				}
			}
			for _, subject := range []string{"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.ACCOUNT.PURGE.x", "$JS.API.META.LEADER.STEPDOWN"} {
				require.False(t, mayPublish(t, conn, subject), "%s asks for %s", service, subject)
			}
		}
	})

	t.Run("R58_AServiceHearsThroughItsOwnConsumers", func(t *testing.T) {
		t.Parallel()
		for service, own := range consumers {
			conn := b.as(t, service)
			for _, of := range events.Services() {
				for owner, consumer := range consumers {
					may := owner == service && slices.Contains(own.hears, of)
					for _, verb := range []string{"CREATE", "INFO", "MSG.NEXT", "UNPIN"} {
						subject := fmt.Sprintf("$JS.API.CONSUMER.%s.%s.%s", verb, events.Stream(of), consumer.name)
						require.Equal(t, may, mayPublish(t, conn, subject), "%s asks for %s", service, subject)
					}
					for _, verb := range []string{"DELETE", "PAUSE", "LEADER.STEPDOWN"} {
						subject := fmt.Sprintf("$JS.API.CONSUMER.%s.%s.%s", verb, events.Stream(of), consumer.name)
						require.False(t, mayPublish(t, conn, subject), "%s asks for %s", service, subject)
					}
					ack := fmt.Sprintf("$JS.ACK.%s.%s.1.999.999.1.0", events.Stream(of), consumer.name)
					require.Equal(t, may, mayPublish(t, conn, ack), "%s acknowledges %s", service, ack)
				}
				require.False(t, mayPublish(t, conn, "$JS.API.CONSUMER.CREATE."+events.Stream(of)), "%s makes a consumer of any name", service)
			}
			for owner, consumer := range consumers {
				require.Equal(t, owner == service, maySubscribe(t, conn, events.RetryRoot+consumer.name+".>"), "%s retries for %s", service, owner)
				require.False(t, mayPublish(t, conn, events.RetryRoot+consumer.name+".identity.x"), "%s asks %s to retry", service, owner)
			}
		}
	})

	t.Run("R58_DeadLettersAreOfOneService", func(t *testing.T) {
		t.Parallel()
		for _, user := range append(events.Services(), "gateway", "operator", "subscriber") {
			conn := b.as(t, user)
			for owner, consumer := range consumers {
				stream := events.DeadLetters(consumer.name)
				for verb, may := range map[string]bool{
					"CREATE": user == owner, "UPDATE": user == owner, "INFO": user == owner || user == "operator",
					"MSG.GET": user == owner || user == "operator", "MSG.DELETE": user == owner || user == "operator",
					"DELETE": false, "PURGE": false, "SNAPSHOT": false, "RESTORE": false, "LEADER.STEPDOWN": false, "PEER.REMOVE": false,
				} {
					subject := "$JS.API.STREAM." + verb + "." + stream
					require.Equal(t, may, mayPublish(t, conn, subject), "%s asks for %s", user, subject)
				}
				letter := events.DeadLetterRoot + consumer.name + ".identity.x"
				require.Equal(t, user == owner || user == "operator", mayPublish(t, conn, letter), "%s publishes %s", user, letter)
				require.False(t, maySubscribe(t, conn, letter), "%s listens to %s", user, letter)
				for _, subject := range []string{
					"$JS.API.DIRECT.GET." + stream, "$JS.API.DIRECT.GET." + stream + "." + letter, "$JS.API.CONSUMER.CREATE." + stream + ".x",
					"$JS.API.CONSUMER.CREATE." + stream + ".x." + letter,
				} {
					require.Equal(t, user == "operator", mayPublish(t, conn, subject), "%s asks for %s", user, subject)
				}
			}
			for _, of := range append(events.Services(), "other") { // to retry, a service reads what it hears once more
				may := user == "operator" || slices.Contains(consumers[user].hears, of)
				subject := "$JS.API.DIRECT.GET." + events.Stream(of)
				require.Equal(t, may, mayPublish(t, conn, subject), "%s asks for %s", user, subject)
			}
		}
	})

	t.Run("R58_AnswersArePrivate", func(t *testing.T) {
		t.Parallel()
		for _, user := range append(events.Services(), "gateway", "operator", "subscriber") {
			conn := b.as(t, user)
			for _, owner := range append(events.Services(), "operator") {
				require.Equal(t, user == owner, maySubscribe(t, conn, "_INBOX."+owner+".>"), "%s listens to %s", user, owner)
			}
			for _, service := range events.Services() {
				require.Equal(t, user == service, mayPublish(t, conn, "roster.wake."+service), "%s wakes %s", user, service)
				require.Equal(t, user == service, maySubscribe(t, conn, "roster.wake."+service), "%s is woken with %s", user, service)
				require.Equal(t, user == service, mayPublish(t, conn, "roster.beat."+service), "%s beats for %s", user, service)
			}
			hears := user != "operator" && user != "subscriber"
			require.Equal(t, hears, maySubscribe(t, conn, "roster.beat.identity"), "%s hears that identity lives", user)
			for _, wide := range []string{">", "*.>", "_INBOX.>", "_INBOX.*.x", "$JS.>", "$SYS.>", "roster.dlq.>", "roster.retry.>"} {
				require.False(t, maySubscribe(t, conn, wide), "%s listens to %s", user, wide)
			}
			if user != "operator" {
				require.False(t, maySubscribe(t, conn, "roster.v1.>"), "%s listens to everything", user)
				for _, end := range []string{"roster.v1.session.ended.>", "roster.v1.account.api_key_deleted.>"} {
					require.Equal(t, user != "subscriber", maySubscribe(t, conn, end), "%s hears %s", user, end)
				}
			}
		}
	})

	t.Run("R58_AnOperatorReadsAndKeepsOffTheServices", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		heard, failed := make(chan events.Event), make(chan error, 1)
		organization := id.NewOrganization().String()
		event := eventOf(t, organization)
		_, err := b.js(t, "membership").PublishMsg(t.Context(), event)
		require.NoError(t, err)
		js := b.js(t, "operator")
		go func() {
			failed <- events.Tail(ctx, js, events.Config{Organization: organization, Services: []string{"membership"}}, func(e events.Event) error {
				heard <- e
				return ctx.Err()
			})
		}()
		select {
		case e := <-heard:
			require.Equal(t, organization, e.Aggregate)
		case err := <-failed:
			require.NoError(t, err)
		}
		conn := b.as(t, "operator")
		for _, consumer := range consumers {
			for _, of := range consumer.hears {
				for _, verb := range []string{"CREATE", "DELETE", "MSG.NEXT", "RESET", "PAUSE"} {
					subject := fmt.Sprintf("$JS.API.CONSUMER.%s.%s.%s", verb, events.Stream(of), consumer.name)
					require.False(t, mayPublish(t, conn, subject), subject)
				}
				require.False(t, mayPublish(t, conn, fmt.Sprintf("$JS.ACK.%s.%s.1.1.1.1.0", events.Stream(of), consumer.name)))
			}
		}
		for _, service := range events.Services() {
			for _, verb := range []string{"CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE"} {
				require.False(t, mayPublish(t, conn, "$JS.API.STREAM."+verb+"."+events.Stream(service)), verb)
			}
		}
	})

	t.Run("R58_ASubscriberHearsItsOrganizationAndNothingElse", func(t *testing.T) {
		t.Parallel()
		conn, member := b.as(t, "subscriber"), b.as(t, "membership")
		other := id.NewOrganization().String()
		heard, err := conn.SubscribeSync("roster.v1.*.*.*." + b.organization)
		require.NoError(t, err)
		for _, wide := range []string{
			"roster.v1.>", "roster.>", "roster.v1.*.*.*.*", "roster.v1.*.*.*.>", "roster.v1.member.>", "roster.v1.member.added.0." + other,
			"roster.v1.*.*.*." + other, "roster.v1.session.ended.0." + id.NewAccount().String(),
		} {
			require.False(t, maySubscribe(t, conn, wide), wide)
		}
		require.NoError(t, member.Publish("roster.v1.member.removed.7."+other, []byte("theirs")))
		require.NoError(t, member.Publish("roster.v1.member.removed.7."+b.organization, []byte("ours")))
		got, err := heard.NextMsg(soon)
		require.NoError(t, err)
		require.Equal(t, "ours", string(got.Data))
		for _, subject := range []string{
			"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.ROSTER_MEMBERSHIP", "$JS.API.STREAM.MSG.GET.ROSTER_MEMBERSHIP",
			"$JS.API.DIRECT.GET.ROSTER_MEMBERSHIP", "$JS.API.CONSUMER.CREATE.ROSTER_MEMBERSHIP.x",
			"$JS.API.CONSUMER.CREATE.ROSTER_MEMBERSHIP.x.roster.v1.*.*.*." + b.organization,
			"$JS.API.CONSUMER.MSG.NEXT.ROSTER_MEMBERSHIP.billing-organizations", "roster.v1.member.added.0." + b.organization,
		} {
			require.False(t, mayPublish(t, conn, subject), subject)
		}
	})
}

func eventOf(t *testing.T, organization string) *nats.Msg {
	t.Helper()
	line := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/roster/membership","type":"roster.v1.organization.renamed","time":"2026-01-01T00:00:00Z",`+
		`"datacontenttype":"application/json","aggregate":%q,"revision":"1","epoch":"1","prevhash":"","hash":"","data":{}}`, id.NewEvent(), organization)
	return &nats.Msg{Subject: "roster.v1.organization.renamed.0." + organization, Data: []byte(line)}
}

func TestNATSConnections(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(filepath.Join(b.certs, "ca.pem"))
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(authority))
	pair := func(dir, name string) tls.Certificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
		require.NoError(t, err)
		return pair
	}
	// dial connects as any client of NATS does, which goes by host names.
	dial := func(change func(*tls.Config)) error {
		config := &tls.Config{RootCAs: pool}
		change(config)
		conn, err := nats.Connect(b.url, nats.Secure(config))
		if err == nil {
			conn.Close()
		}
		return err
	}

	t.Run("R58_ACertificateIsTheCredential", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, dial(func(c *tls.Config) { c.Certificates = []tls.Certificate{pair(b.certs, "membership")} }))
	})

	t.Run("R58_NoCertificateIsRefused", func(t *testing.T) {
		t.Parallel()
		require.Error(t, dial(func(*tls.Config) {}))
	})

	t.Run("R58_AnotherAuthorityIsRefused", func(t *testing.T) {
		t.Parallel()
		require.Error(t, dial(func(c *tls.Config) { c.Certificates = []tls.Certificate{pair(newCerts(t), "membership")} }))
	})

	t.Run("R58_AnExpiredCertificateIsRefused", func(t *testing.T) {
		t.Parallel()
		old := t.TempDir()
		for _, file := range []string{"ca.pem", "ca.key"} {
			require.NoError(t, os.Link(filepath.Join(b.certs, file), filepath.Join(old, file)))
		}
		_, err := certs.Renew(old, []string{"membership"}, nil, time.Now().AddDate(-2, 0, 0))
		require.NoError(t, err)
		require.Error(t, dial(func(c *tls.Config) { c.Certificates = []tls.Certificate{pair(old, "membership")} }))
	})

	t.Run("R58_ANameWithoutPermissionsIsRefused", func(t *testing.T) {
		t.Parallel()
		require.ErrorIs(t, dial(func(c *tls.Config) { c.Certificates = []tls.Certificate{pair(b.certs, "stranger")} }), nats.ErrAuthorization)
		require.ErrorIs(t, dial(func(c *tls.Config) { c.Certificates = []tls.Certificate{pair(b.certs, "nats")} }), nats.ErrAuthorization)
	})

	t.Run("R58_PlaintextAndOlderTLSAreRefused", func(t *testing.T) {
		t.Parallel()
		_, err := nats.Connect(strings.Replace(b.url, "tls://", "nats://", 1), nats.UserInfo("roster://membership", ""))
		require.Error(t, err)
		require.Error(t, dial(func(c *tls.Config) {
			c.Certificates, c.MaxVersion = []tls.Certificate{pair(b.certs, "membership")}, tls.VersionTLS12
		}))
	})

	t.Run("R58_ARoleBelievesTheNATSServerOnly", func(t *testing.T) {
		t.Parallel()
		address := free(t, 1)[0]
		impostor := t.TempDir() // whose server has the certificate of another role, and the right host name
		for _, file := range []string{"ca.pem", "ca.key"} {
			require.NoError(t, os.Link(filepath.Join(b.certs, file), filepath.Join(impostor, file)))
		}
		_, err := certs.Renew(impostor, []string{"billing"}, map[string][]string{"billing": {"127.0.0.1"}}, time.Now())
		require.NoError(t, err)
		require.NoError(t, os.Rename(filepath.Join(impostor, "billing.pem"), filepath.Join(impostor, "nats.pem")))
		require.NoError(t, os.Rename(filepath.Join(impostor, "billing.key"), filepath.Join(impostor, "nats.key")))
		runServer(t, impostor, "../../../deploy/nats/nats-server.conf", address)
		settings := b.settings("membership")
		config, err := network.TLSClient(network.TLSFiles{Cert: settings.TLSCert, Key: settings.TLSKey, CA: settings.TLSCA}, "membership", "nats")
		require.NoError(t, err)
		_, err = nats.Connect("tls://"+address, nats.Secure(config))
		require.ErrorContains(t, err, `the server is "billing", not "nats"`)
	})

	t.Run("R55_NewFilesAreTakenWithoutARestart", func(t *testing.T) {
		t.Parallel()
		mine := newCerts(t) // another authority: neither end believes the other
		settings := Common{NATS: b.url, TLSCert: filepath.Join(mine, "billing.pem"), TLSKey: filepath.Join(mine, "billing.key"), TLSCA: filepath.Join(mine, "ca.pem")}
		conn, err := connect("billing", settings, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		defer conn.Close()
		require.ErrorContains(t, usable(conn), "not connected")
		for _, file := range []string{"billing.pem", "billing.key", "ca.pem"} {
			content, err := os.ReadFile(filepath.Join(b.certs, file))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(mine, file), content, 0o600))
			later := time.Now().Add(time.Minute)
			require.NoError(t, os.Chtimes(filepath.Join(mine, file), later, later))
		}
		require.Eventually(t, func() bool { return usable(conn) == nil }, soon, 10*time.Millisecond, "it connects with the new files")
	})

	t.Run("R55_AnotherRolesCertificateIsRefused", func(t *testing.T) {
		t.Parallel()
		_, err := connect("billing", b.settings("membership"), slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, `is the certificate of "membership", not of "billing"`)
	})
}

func TestOldNATSIsSaid(t *testing.T) {
	t.Parallel()
	for version, good := range map[string]bool{"2.12.6": false, "2.13.9": false, "1.99.0": false, "2.14.0": true, "2.15.2": true, "3.0.0": true, "new": false} {
		t.Run("R58_"+version, func(t *testing.T) {
			t.Parallel()
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer lis.Close()
			go func() {
				conn, err := lis.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"version\":%q,\"max_payload\":1048576,\"headers\":true}\r\n", version)
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if lines.Text() == "PING" {
						fmt.Fprint(conn, "PONG\r\n")
					}
				}
			}()
			conn, err := connect("billing", Common{NATS: "nats://" + lis.Addr().String()}, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			defer conn.Close()
			require.Eventually(t, conn.IsConnected, soon, 10*time.Millisecond)
			if good {
				require.NoError(t, usable(conn))
				return
			}
			require.ErrorContains(t, usable(conn), version)
		})
	}
}

// Three servers keep a stream three times, and only servers join them.
func TestNATSCluster(t *testing.T) {
	t.Parallel()
	dir := newCerts(t)
	addresses, links := free(t, 3), free(t, 3)
	routes := "ROSTER_NATS_CLUSTER_ROUTES=[nats://" + strings.Join(links, ", nats://") + "]"
	routes = strings.ReplaceAll(routes, "127.0.0.1", "localhost") // a certificate is compared with the names in the routes
	for i := range addresses {
		runServer(t, dir, "../../../deploy/nats/nats-cluster.conf", addresses[i],
			fmt.Sprintf("ROSTER_NATS_NAME=nats-%d", i), "ROSTER_NATS_CLUSTER_LISTEN="+links[i], routes)
	}
	b := &broker{certs: dir, url: "tls://" + strings.Join(addresses, ",tls://")}
	js := b.js(t, "membership")

	t.Run("R58_ServersShareAStream", func(t *testing.T) {
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return outbox.EnsureStream(ctx, js, "membership", 3) == nil
		}, soon, 50*time.Millisecond, "three servers agree")
		stream, err := js.Stream(t.Context(), events.Stream("membership"))
		require.NoError(t, err)
		require.Len(t, stream.CachedInfo().Cluster.Replicas, 2)
	})

	t.Run("R58_ARoleIsNoServer", func(t *testing.T) {
		for name, joins := range map[string]bool{"nats": true, "membership": false} {
			conn, err := net.Dial("tcp", links[0])
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
			own, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
			require.NoError(t, err)
			secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}})
			require.NoError(t, secured.Handshake())
			_, err = secured.Write([]byte(`CONNECT {"name":"` + name + `","cluster":"roster"}` + "\r\nPING\r\n"))
			require.NoError(t, err)
			answer := bufio.NewReader(secured)
			_, err = answer.ReadString('\n') // INFO
			require.NoError(t, err)
			said, err := answer.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, joins, said == "PONG\r\n", "%s is told %s", name, said)
		}
	})
}
