package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// startCounting starts the suite with PostgreSQL's own statistics of statements, which it loads only when it starts.
func startCounting(ctx context.Context, data string) (*suite, error) {
	s, err := start(ctx, data)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	config, err := superuser(s)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`); err != nil {
		return nil, err
	}
	conn.Close(ctx)
	s.stop()
	return start(ctx, filepath.Clean(data))
}

func (y *yardstick) forget(ctx context.Context) error {
	for _, command := range []string{
		`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`,
		`ALTER SYSTEM SET pg_stat_statements.track_planning = on`,
		`SELECT pg_reload_conf()`,
		`SELECT pg_stat_statements_reset()`,
	} {
		if _, err := y.conn.Exec(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// statements tells what PostgreSQL ran since forget, per call. Times are in microseconds.
func (y *yardstick) statements(ctx context.Context, calls int) error {
	rows, err := y.conn.Query(ctx, `
		SELECT d.datname, s.calls, s.plans, s.total_plan_time, s.total_exec_time, s.query
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname <> $1
		ORDER BY s.total_plan_time + s.total_exec_time DESC`, scratch)
	if err != nil {
		return err
	}
	var database, query string
	var n, plans int64
	var planned, executed, all float64
	var statements int64
	fmt.Printf("  %9s %9s %8s %8s\n", "runs/call", "plans/run", "plan us", "exec us")
	_, err = pgx.ForEachRow(rows, []any{&database, &n, &plans, &planned, &executed, &query}, func() error {
		statements += n
		all += planned + executed
		per := float64(n) / float64(calls)
		if per >= 0.05 {
			fmt.Printf("  %9.2f %9.2f %8.0f %8.0f  %-10s %s\n", per, float64(plans)/float64(n), planned/float64(n)*1000, executed/float64(n)*1000,
				database, shorten(strings.Join(strings.Fields(query), " ")))
		}
		return nil
	})
	fmt.Printf("  %9.2f statements and %.0f us in them per call\n\n", float64(statements)/float64(calls), all/float64(calls)*1000)
	return err
}

func shorten(query string) string {
	const most = 130
	if len(query) > most {
		return query[:most] + "..."
	}
	return query
}
