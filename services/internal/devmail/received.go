package devmail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Received is a message in the inbox, decoded.
type Received struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"` // of arrival
	To      []string  `json:"to"`   // whom the server was told to deliver to
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	Links   []string  `json:"links"` // every link in Text, in order, once

	Header mail.Header `json:"-"` // as received, not decoded
}

const (
	idLayout    = "20060102T150405.000000000" // UTC
	deliveredTo = "Delivered-To"
)

// parse reads a stored message. The id tells when it arrived.
func parse(id string, raw []byte) (Received, error) {
	arrival, err := time.Parse(idLayout, id)
	if err != nil {
		return Received{}, err
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Received{}, err
	}
	m := Received{
		ID:      id,
		Time:    arrival,
		To:      slices.Concat([]string{}, message.Header[deliveredTo]), // never null in JSON
		From:    decode(message.Header.Get("From")),
		Subject: decode(message.Header.Get("Subject")),
		Header:  message.Header,
	}
	if err := m.readPart(textproto.MIMEHeader(message.Header), message.Body); err != nil {
		return Received{}, err
	}
	m.Links = links(m.Text)
	return m, nil
}

// sentTo reports whether the message went to the address; every message goes to the empty one.
func (m Received) sentTo(address string) bool {
	return address == "" || slices.ContainsFunc(m.To, func(to string) bool { return strings.EqualFold(to, address) })
}

// readPart keeps the first text and the first HTML it finds in a part and in the parts of that part.
func (m *Received) readPart(header textproto.MIMEHeader, body io.Reader) error {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045, 5.2
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			if err := m.readPart(part.Header, part); err != nil {
				return err
			}
		}
	}

	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	switch {
	case kind == "text/plain" && m.Text == "":
		m.Text = text
	case kind == "text/html" && m.HTML == "":
		m.HTML = text
	}
	return nil
}

// decode reads the encoded words of a header, and leaves what it cannot read as it is.
func decode(header string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		return header
	}
	return decoded
}

var linkPattern = regexp.MustCompile(`https?://[^\s<>"]+`)

// links returns the links in text. Punctuation at the end of one belongs to the sentence around it.
func links(text string) []string {
	found := []string{} // never null in JSON
	for _, link := range linkPattern.FindAllString(text, -1) {
		link = strings.TrimRight(link, `.,;:!?'")]}`)
		if !slices.Contains(found, link) {
			found = append(found, link)
		}
	}
	return found
}
