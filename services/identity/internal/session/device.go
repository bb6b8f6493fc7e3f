package session

import "strings"

// Device is a short name of a client for people: browser and system, when it is a well-known one, or else the first word of what it calls itself.
func Device(userAgent string) string {
	known := func(marks ...string) string { // pairs of what is looked for, and its name; the first that is found
		for i := 0; i < len(marks); i += 2 {
			if strings.Contains(userAgent, marks[i]) {
				return marks[i+1]
			}
		}
		return ""
	}
	browser := known("Edg", "Edge", "OPR/", "Opera", "SamsungBrowser/", "Samsung Internet", "Firefox/", "Firefox", "FxiOS/", "Firefox",
		"CriOS/", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari")
	if browser == "" {
		word, _, _ := strings.Cut(strings.TrimSpace(userAgent), " ")
		name, _, _ := strings.Cut(word, "/")
		return name
	}
	system := known("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS X", "macOS", "CrOS", "ChromeOS",
		"Linux", "Linux", "X11", "Linux")
	if system == "" {
		return browser
	}
	return browser + " on " + system
}
