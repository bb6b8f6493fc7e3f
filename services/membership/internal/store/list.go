package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

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

	beginning string // of the name
}

// Cursor is where a page ends: the name that rows are sorted by, and the id that tells equal names apart.
type Cursor struct {
	Name string
	ID   id.Any
}

// What a search costs at most. A word that matches more people than candidates is common: then the list itself is read in
// order, window rows at a time, and a page may be short although more follow. Of a common beginning of one or two letters
// the names are listed, and not the addresses and usernames too.
const (
	candidates = 1000
	window     = 10000
)

// ListPeople returns a page, by name, and where the next one begins; nil at the end.
func (q Queries) ListPeople(ctx context.Context, key id.Organization, f Filter, after Cursor, size int) ([]Entry, *Cursor, error) {
	word := fold(f.Query)
	if word == "" {
		return q.page(ctx, key, f, nil, after, size)
	}
	found, err := q.candidates(ctx, key, f, word)
	switch {
	case err != nil:
		return nil, nil, err
	case len(found) <= candidates:
		return q.page(ctx, key, f, found, after, size)
	}
	if short(word) { // those whose names begin so stand together
		named := f
		named.beginning = word
		if page, next, err := q.page(ctx, key, named, nil, after, size); err != nil || len(page) > 0 {
			return page, next, err
		}
	}
	return q.scan(ctx, key, f, word, after, size)
}

// short tells whether a word is too short for trigrams. It matches beginnings only.
func short(word string) bool { return utf8.RuneCountInString(word) < 3 }

// beyond is the first text after all those that begin with the word.
func beyond(word string) string { return word + string(utf8.MaxRune) }

const entryColumns = `p.person_id, p.kind, p.sort_name, p.display_name, p.email, p.username, p.role, p.state, p.join_time, p.expire_time`

// page reads the list, or of it only those who are among some.
func (q Queries) page(ctx context.Context, key id.Organization, f Filter, among []id.Any, after Cursor, size int) (page []Entry, next *Cursor, err error) {
	args := arguments{key, size + 1}
	where := "p.organization_id = $1" + f.conditions(&args) + after.condition("p", &args)
	if among != nil {
		where += " AND p.person_id = ANY (" + args.add(among) + ")"
	}
	q.Read(`SELECT `+entryColumns+` FROM people p WHERE `+where+` ORDER BY p.sort_name, p.person_id LIMIT $2`, args, postgres.All(&page))
	if err := q.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	page, next = cut(page, size)
	return page, next, nil
}

// candidates returns the ids of those who match, one more than the limit if there are more.
func (q Queries) candidates(ctx context.Context, key id.Organization, f Filter, word string) (found []id.Any, err error) {
	args := arguments{key, candidates + 1}
	found = []id.Any{} // and not nil, which would be everybody
	q.planAnew()
	q.Read(`SELECT s.person_id FROM people_search s WHERE s.organization_id = $1 AND `+f.match(&args, word)+` LIMIT $2`, args,
		func(rows pgx.Rows) (err error) {
			found, err = pgx.AppendRows(found, rows, pgx.RowTo[id.Any])
			return err
		})
	return found, q.Fetch(ctx)
}

// scan reads one window of the list, in order, and returns those in it who match.
func (q Queries) scan(ctx context.Context, key id.Organization, f Filter, word string, after Cursor, size int) (page []Entry, next *Cursor, err error) {
	var end Cursor
	var more bool
	args := arguments{key}
	rows := `FROM people_search s WHERE s.organization_id = $1` + after.condition("s", &args) + ` ORDER BY s.sort_name, s.person_id`
	q.Read(fmt.Sprintf(`SELECT s.sort_name AS name, s.person_id AS id %s OFFSET %d LIMIT 1`, rows, window-1), args, postgres.One(&end, &more))
	q.planAnew()
	q.Read(fmt.Sprintf(`
		SELECT %s
		FROM (SELECT s.* %s LIMIT %d) s
		JOIN people p ON p.organization_id = s.organization_id AND p.person_id = s.person_id
		WHERE %s%s
		ORDER BY s.sort_name, s.person_id LIMIT %s`,
		entryColumns, rows, window, f.match(&args, word), f.conditions(&args), args.add(size+1)), args, postgres.All(&page))
	if err := q.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	if page, next = cut(page, size); next == nil && more {
		next = &end
	}
	return page, next, nil
}

// planAnew makes PostgreSQL look at the word itself when it plans: how to search depends on how common it is.
func (q Queries) planAnew() {
	q.Read(`SELECT set_config('plan_cache_mode', 'force_custom_plan', true)`, nil, nothing)
}

// cut makes a page of one row more than fits on it.
func cut(page []Entry, size int) ([]Entry, *Cursor) {
	if len(page) <= size {
		return page, nil
	}
	last := page[size-1]
	return page[:size], &Cursor{Name: last.SortName, ID: last.ID}
}

// condition keeps to the rows after the cursor.
func (c Cursor) condition(table string, args *arguments) string {
	if c.ID.IsZero() {
		return ""
	}
	return fmt.Sprintf(" AND (%[1]s.sort_name, %[1]s.person_id) > (%[2]s, %[3]s)", table, args.add(c.Name), args.add(c.ID))
}

// conditions are those on people, p.
func (f Filter) conditions(args *arguments) (sql string) {
	if f.Kind != "" {
		sql += " AND p.kind = " + args.add(f.Kind)
	}
	if len(f.States) > 0 {
		sql += " AND p.state = ANY (" + args.add(f.States) + ")"
	}
	if len(f.Roles) > 0 {
		sql += " AND p.role = ANY (" + args.add(f.Roles) + ")"
	}
	if f.beginning != "" {
		sql += " AND p.sort_name >= " + args.add(f.beginning) + " AND p.sort_name < " + args.add(beyond(f.beginning))
	}
	return sql
}

// match is the condition on people_search, s.
func (f Filter) match(args *arguments, word string) string {
	columns := []string{"s.name", "s.username"}
	if f.Contacts {
		columns = append(columns, "s.email")
	}
	arms := make([]string, len(columns))
	if short(word) {
		from, to := args.add(word), args.add(beyond(word))
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
