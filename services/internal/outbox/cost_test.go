package outbox

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/emptypb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/devpg"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
)

// BenchmarkMutation measures what a mutation costs beyond its work: the smallest one there is, which locks its head and
// publishes an event, beside the same that asks for the cluster's identifier, and beside the same with the answer stored
// under a request id that nobody else knows. They take turns, so that all have the machine as it is, and the ratios are of
// medians. With "cpu" nothing is flushed.
func BenchmarkMutation(b *testing.B) {
	for name, fast := range map[string]bool{"flushed": false, "cpu": true} {
		b.Run(name, func(b *testing.B) {
			db := costly(b, fast)
			asking := strings.Replace(publishAlways, "current_setting('app.cluster')", "(SELECT system_identifier FROM pg_control_system())", 1)
			organization := id.NewOrganization()
			scope := postgres.In(organization)
			work := func(tx *postgres.Tx, publish string) error {
				tx.Read(`SELECT 1 FROM heads WHERE aggregate_id = $1 FOR UPDATE`, []any{organization}, func(rows pgx.Rows) error {
					for rows.Next() {
					}
					return nil
				})
				if err := tx.Fetch(b.Context()); err != nil {
					return err
				}
				e, err := NewEvent(organization, tx.Now(), &eventv1.OrganizationCreated{})
				if err != nil {
					return err
				}
				tx.Write(publish, e.args()...)
				return nil
			}
			ways := []struct {
				name string
				run  func() error
			}{
				{"plain", func() error {
					return db.InTx(b.Context(), scope, func(tx *postgres.Tx) error { return work(tx, publishAlways) })
				}},
				{"cluster-asked", func() error {
					return db.InTx(b.Context(), scope, func(tx *postgres.Tx) error { return work(tx, asking) })
				}},
				{"answer-stored", func() error {
					_, _, err := postgres.Once(b.Context(), db, scope, postgres.Request{Method: "Cost", Body: &emptypb.Empty{}},
						func(tx *postgres.Tx) (*emptypb.Empty, error) { return &emptypb.Empty{}, work(tx, publishAlways) })
					return err
				}},
			}
			var backend int
			if err := db.Pool.QueryRow(b.Context(), `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
				b.Fatal(err)
			}
			took, used := make([][]time.Duration, len(ways)), make([][]time.Duration, len(ways))
			for b.Loop() {
				for i, way := range ways {
					const block = 20 // what the server does after an answer counts too
					before := onCPU(b, backend)
					for range block {
						begin := time.Now()
						if err := way.run(); err != nil {
							b.Fatal(err)
						}
						took[i] = append(took[i], time.Since(begin))
					}
					used[i] = append(used[i], (onCPU(b, backend)-before)/block)
				}
			}
			for what, all := range map[string][][]time.Duration{"time": took, "server-cpu": used} {
				b.ReportMetric(float64(median(all[0]).Microseconds()), "us-"+what)
				for i, way := range ways[1:] {
					b.ReportMetric(float64(median(all[i+1]))/float64(median(all[0])), way.name+"/plain-"+what)
				}
			}
		})
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// onCPU is how long a process has run so far, however many others wanted to.
func onCPU(b *testing.B, pid int) (ran time.Duration) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err == nil {
		_, err = fmt.Sscan(string(stat), &ran)
	}
	if err != nil {
		b.Fatal(err)
	}
	return ran
}

// costly opens a database on a cluster of its own.
func costly(b *testing.B, fast bool) *postgres.DB {
	b.Helper()
	cluster, err := devpg.Start(b.Context(), b.TempDir(), devpg.Options{Fast: fast})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := cluster.Destroy(); err != nil {
			b.Error(err)
		}
	})
	admin, err := pgx.Connect(b.Context(), cluster.DSN("postgres", "postgres"))
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close(b.Context())
	if err := postgres.Provision(b.Context(), admin, "cost", ""); err != nil {
		b.Fatal(err)
	}
	nothing := fstest.MapFS{"00001_nothing.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}}
	if err := postgres.Migrate(b.Context(), cluster.DSN("cost", "cost_owner"), nothing); err != nil {
		b.Fatal(err)
	}
	db, err := postgres.Open(b.Context(), "cost", cluster.DSN("cost", "cost"), seal.NewKey(sha256.Sum256(nil)), postgres.Options{Conns: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	return db
}
