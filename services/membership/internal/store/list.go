package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Filter says which people are wanted.
type Filter struct {
	Kind     string   // empty: both
	States   []string // empty: all
	Roles    []string // keys; empty: all
	Query    string   // part of a name, username or address; a single letter or two: the beginning of one
	Contacts bool     // whoever asks may see addresses, so the query finds them too
}

// candidateLimit bounds how many ids a search collects before it looks at them. A word that matches more people than this
// is common, so walking the list in order finds a page of them soon.
const candidateLimit = 1000

// ListPeople returns a page, by name.
func (q Queries) ListPeople(ctx context.Context, key id.Organization, f Filter, after Cursor, limit int) (page []Entry, err error) {
	args := arguments{key, limit}
	where := []string{"p.organization_id = $1"}
	if f.Kind != "" {
		where = append(where, "p.kind = "+args.add(f.Kind))
	}
	if len(f.States) > 0 {
		where = append(where, "p.state = ANY ("+args.add(f.States)+")")
	}
	if len(f.Roles) > 0 {
		where = append(where, "p.role = ANY ("+args.add(f.Roles)+")")
	}
	if !after.ID.IsZero() {
		where = append(where, fmt.Sprintf("(p.sort_name, p.person_id) > (%s, %s)", args.add(after.Name), args.add(after.ID)))
	}
	const columns = `p.person_id, p.kind, p.sort_name, p.display_name, p.email, p.username, p.role, p.state, p.join_time, p.expire_time`
	listed := strings.Join(where, " AND ")
	sql := `SELECT ` + columns + ` FROM people p WHERE ` + listed + ` ORDER BY p.sort_name, p.person_id LIMIT $2`
	if word := fold(f.Query); word != "" {
		matches := f.matches(&args, word)
		sql = fmt.Sprintf(`
			WITH candidates AS MATERIALIZED (
				SELECT s.person_id FROM people_search s WHERE s.organization_id = $1 AND %[3]s LIMIT %[4]d + 1
			)
			SELECT %[1]s FROM ((
				SELECT %[1]s FROM people p
				WHERE %[2]s AND p.person_id IN (SELECT person_id FROM candidates) AND (SELECT count(*) FROM candidates) <= %[4]d
				ORDER BY p.sort_name, p.person_id LIMIT $2
			) UNION ALL (
				SELECT %[1]s FROM people p JOIN people_search s ON s.organization_id = p.organization_id AND s.person_id = p.person_id
				WHERE %[2]s AND %[3]s AND (SELECT count(*) FROM candidates) > %[4]d
				ORDER BY p.sort_name, p.person_id LIMIT $2
			)) p
			ORDER BY p.sort_name, p.person_id`, columns, listed, matches, candidateLimit)
	}
	q.Read(sql, args, postgres.All(&page))
	return page, q.Fetch(ctx)
}

// matches returns the condition on people_search, s. One or two letters are too few for trigrams: they match the beginning.
func (f Filter) matches(args *arguments, word string) string {
	columns := []string{"s.name", "s.username"}
	if f.Contacts {
		columns = append(columns, "s.email")
	}
	arms := make([]string, len(columns))
	if utf8.RuneCountInString(word) < 3 {
		from, to := args.add(word), args.add(word+string(utf8.MaxRune))
		for i, column := range columns {
			arms[i] = fmt.Sprintf("%[1]s ~>=~ %[2]s AND %[1]s ~<~ %[3]s", column, from, to)
		}
	} else {
		pattern := args.add("%" + like.Replace(word) + "%")
		for i, column := range columns {
			arms[i] = column + " LIKE " + pattern
		}
	}
	return "(" + strings.Join(arms, " OR ") + ")"
}

// arguments of a statement, in order.
type arguments []any

// add returns the placeholder of one more.
func (a *arguments) add(value any) string {
	*a = append(*a, value)
	return fmt.Sprintf("$%d", len(*a))
}
