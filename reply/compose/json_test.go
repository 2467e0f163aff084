package compose

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/result"
)

func asJSON(t testing.TB, r *verify.Report, class policy.Class) []byte {
	t.Helper()
	b, err := composer(t).JSON(r, class)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJSON_is_pure_ASCII(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		r, _ := load(t, c.name)
		b := asJSON(t, r, c.class)
		if i := bytes.IndexFunc(b, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }); i >= 0 {
			t.Errorf("%s: octet %#x at %d", c.name, b[i], i)
		}
	}
}

// What was written reads back as a Report, and says the same once more.
func TestJSON_reads_back(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		r, _ := load(t, c.name)
		once := asJSON(t, r, c.class)
		var back verify.Report
		if err := json.Unmarshal(once, &back); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if twice := asJSON(t, &back, c.class); !bytes.Equal(once, twice) && c.class == policy.Proved {
			t.Errorf("%s: the second writing differs from the first", c.name)
		}
		for i, k := range back.Checks {
			if want := forClass(r, c.class).Checks[i]; k.Method != want.Method || k.Result != want.Result || !reflect.DeepEqual(k.Identities, want.Identities) {
				t.Errorf("%s, check %d: got %s %s, want %s %s", c.name, i, k.Method, k.Result, want.Method, want.Result)
			}
		}
	}
}

// Programs rely on these; fields are only added.
func TestJSON_has_the_published_fields(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "all-well")
	var v map[string]any
	if err := json.Unmarshal(asJSON(t, r, policy.Proved), &v); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(`version id host time session.client_ip session.client_port session.helo
		session.tls.version session.tls.cipher session.mail_from session.rcpt_to session.transcript
		message.from message.subject message.message_id message.size verdict.result verdict.why.code verdict.why.text
		checks findings`) {
		at := any(v)
		for key := range strings.SplitSeq(path, ".") {
			m, _ := at.(map[string]any)
			at = m[key]
		}
		if at == nil {
			t.Errorf("%s is not there", path)
		}
	}
	for _, k := range v["checks"].([]any) {
		check := k.(map[string]any)
		for _, key := range []string{"method", "result", "identities", "evidence"} {
			if check[key] == nil {
				t.Errorf("check %v: %s is not there", check["method"], key)
			}
		}
	}
}

func TestJSON_has_the_sentence_beside_each_code(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		r, _ := load(t, c.name)
		var v any
		if err := json.Unmarshal(asJSON(t, r, c.class), &v); err != nil {
			t.Fatal(err)
		}
		eachObject(v, func(o map[string]any) {
			// Arguments may have that name, and a receiver has the code of its reply there.
			if code, ok := o["code"].(string); ok && code != "" && !ofReply(code) {
				if s, ok := o["text"].(string); !ok || s == "" {
					t.Errorf("%s: code %q without text", c.name, code)
				}
			}
		})
	}
}

// The reports in testdata are such as the checks make: their codes exist, with the arguments that the
// sentences want.
func TestTestdata_has_codes_that_exist(t *testing.T) {
	t.Parallel()
	words := composer(t).words
	for _, c := range given {
		if strings.HasPrefix(c.name, "hostile") {
			continue
		}
		b, err := os.ReadFile("testdata/" + c.name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		eachObject(v, func(o map[string]any) {
			code, _ := o["code"].(string)
			if code == "" || ofReply(code) {
				return
			}
			if !words.Has(templates.English, code) {
				t.Errorf("%s: code %q has no sentence", c.name, code)
			}
			args, _ := o["args"].(map[string]any)
			for _, name := range words.Arguments(templates.English, code) {
				if _, ok := args[name]; !ok {
					t.Errorf("%s: %q has no argument %q, which its sentence wants", c.name, code, name)
				}
			}
		})
	}
}

// ofReply tells the code of a receiver's reply, "550 5.7.26", from that of a sentence.
func ofReply(code string) bool { return strings.Trim(code, "0123456789. ") == "" }

func eachObject(v any, do func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		do(v)
		for _, x := range v {
			eachObject(x, do)
		}
	case []any:
		for _, x := range v {
			eachObject(x, do)
		}
	}
}

// The caller's report is as it was: what class B leaves out is still there for the store.
func TestJSON_of_an_unproved_sender_leaves_the_report_alone(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "unproved")
	at := slices.IndexFunc(r.Findings, func(f result.Finding) bool { return f.Code == "header-malformed-line" })
	subject, words := r.Message.Subject, r.Findings[at].Args.Get("text")
	r.Session.TLS = &verify.TLS{Version: "TLS 1.3", Client: "cheap pills here"}
	r.Checks = append(r.Checks, result.Outcome{Method: verify.MethodARC, Result: result.Fail, Detail: &arc.Result{
		Instances: []arc.Instance{{Instance: 1, Authserv: "cheap pills", Results: "dkim=pass (cheap pills)"}}}})
	for code, name := range map[result.Code]string{"header-date-malformed": "date", "header-message-id-malformed": "id", "arc-broken-after": "host",
		"arc-fail-cv": "cv", "mailing-list": "list", "dkim-subject-tagged": "tag", "dkim-header-rewritten": "was"} {
		f := result.Finding{Severity: result.Warning, Code: code, Args: result.Args{}.With(name, "cheap pills")}
		r.Findings = append(r.Findings, f)
	}
	b := asJSON(t, r, policy.Open)
	if bytes.Contains(b, []byte("pills")) {
		t.Error("the JSON has words of the message")
	}
	if r.Session.TLS.Client == "" || r.Message.Subject != subject || r.Findings[at].Args.Get("text") != words || words == "" {
		t.Errorf("the report was changed: %q, %q", r.Message.Subject, r.Findings[at].Args.Get("text"))
	}
}

// Nothing is mailed to the null sender: who evaluates a bounce by hand sees the records that it rests on.
func TestJSON_of_a_bounce_has_its_records(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "unproved")
	texts := func(from string) (n int) {
		r.Session.MailFrom = from
		for _, k := range forClass(r, policy.Open).Checks {
			for _, e := range k.Evidence {
				if e.Type == "TXT" && len(e.Data) > 0 && strings.HasPrefix(e.Data[0], `"`) {
					n++
				}
			}
		}
		return n
	}
	if bounce, other := texts(""), texts("a@elsewhere.example"); bounce < 1 || other >= bounce {
		t.Errorf("%d texts for the null sender, %d for a stranger", bounce, other)
	}
}
