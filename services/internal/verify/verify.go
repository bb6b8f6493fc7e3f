// Package verify checks the data of a whole suite: that what the services promise together holds in their four databases and
// in the stream. It reads with snapshots, page by page, and merges here.
package verify
