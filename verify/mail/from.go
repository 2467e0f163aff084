package mail

// From is the author of a message as DMARC needs it: RFC 5322, 3.6.2; RFC 9989, on the author domain.
type From struct {
	Fields    int       `json:"fields"` // how many From fields the message has
	Raw       string    `json:"raw"`    // value of the first, unfolded
	Addresses []Address `json:"addresses,omitempty"`
	Domain    string    `json:"domain"` // the one author domain, A-labels, lower case; "" where Problem is set
	Problem   Problem   `json:"problem,omitempty"`
}

// Address is one mailbox.
type Address struct {
	Display string `json:"display,omitempty"` // RFC 2047 decoded; a stranger's text
	Local   string `json:"local"`             // unquoted
	Domain  string `json:"domain"`            // as written
}

// Problem is why there is no author domain.
type Problem string

// The problems of a From field; each is a finding "from-" and the problem.
const (
	NoFrom        Problem = "missing"
	SeveralFrom   Problem = "several-fields"
	BadFrom       Problem = "malformed"
	SeveralAuthor Problem = "several-domains"
	GroupFrom     Problem = "group"
	SpacedFrom    Problem = "space-before-colon"
)
