package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	mailTime = 30 * time.Second       // in which a mail must come
	mailLook = 100 * time.Millisecond // between two looks
)

// link waits for a mail to an address with a link below a path, /verify/ for example, and returns the token at its
// end. Of several the newest that suits counts.
func (d *demo) link(ctx context.Context, to, path string, suits func(token string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	for {
		links, err := d.mailed(ctx, to)
		if err != nil {
			return "", err
		}
		for _, link := range links {
			if _, token, found := strings.Cut(link, path); found && suits(token) {
				return token, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no mail to %s with a link to %s came: %w", to, path, ctx.Err())
		case <-time.After(mailLook):
		}
	}
}

// mailed returns the links in the mails to an address, newest first.
func (d *demo) mailed(ctx context.Context, to string) (links []string, err error) {
	page := d.url + "/dev/mail/messages?to=" + url.QueryEscape(to)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: the demo needs the inbox of rosterd dev", page, answer.Status)
	}
	var inbox struct {
		Messages []struct{ Links []string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&inbox); err != nil {
		return nil, fmt.Errorf("%s: %w", page, err)
	}
	for _, m := range inbox.Messages {
		links = append(links, m.Links...)
	}
	return links, nil
}
