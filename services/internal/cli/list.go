package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// paging is how much of a list is shown.
type paging struct {
	limit int
	all   bool
}

const (
	defaultLimit = 50
	largestPage  = 500 // the most that a service gives at once
)

func (l *paging) flags(c *cobra.Command) {
	c.Flags().IntVar(&l.limit, "limit", defaultLimit, "show at most this many")
	c.Flags().BoolVar(&l.all, "all", false, "show all, however many")
	c.MarkFlagsMutuallyExclusive("limit", "all")
}

// each calls fetch, which returns how many it got and where to go on, until there is enough.
func (l *paging) each(fetch func(size int32, token string) (got int, next string, err error)) error {
	if l.limit < 1 {
		return usageError{"--limit must be at least 1"}
	}
	for left, token := l.limit, ""; l.all || left > 0; {
		size := largestPage
		if !l.all {
			size = min(left, largestPage)
		}
		got, next, err := fetch(int32(size), token)
		if err != nil || next == "" {
			return err
		}
		left, token = left-got, next
	}
	return nil
}

// noteMore says that the list goes on.
func (a *app) noteMore(nextPageToken string) {
	if nextPageToken != "" {
		a.note("There are more: --limit N or --all")
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// days is a long time, as people say it.
func days(d time.Duration) string {
	switch whole := d / (24 * time.Hour); {
	case d <= 0:
		return ""
	case whole == 1 && d%(24*time.Hour) == 0:
		return "1 day"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", whole)
	}
	return d.String()
}
