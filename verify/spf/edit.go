package spf

// Plain puts ASCII in the place of the typographic characters, stray quotes and backslashes that word
// processors, web pages and zone files bring into a record; what else stands there stays.
func Plain(text string) string {
	plain, _ := mend(text)
	return plain
}
