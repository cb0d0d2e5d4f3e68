package envfile

import "testing"

func TestGetAndSet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content, have string
		missing       bool
		want          string
	}{
		"empty":                   {content: "", missing: true, want: "KEY=new\n"},
		"no line end":             {content: "A=1", missing: true, want: "A=1\nKEY=new\n"},
		"plain":                   {content: "A=1\nKEY=old\nB=2\n", have: "old", want: "A=1\nKEY=new\nB=2\n"},
		"comments and order":      {content: "# first\n\nB=2\nKEY=old\n# KEY=other\nA=1", have: "old", want: "# first\n\nB=2\nKEY=new\n# KEY=other\nA=1"},
		"comment behind":          {content: "KEY=old  # why\n", have: "old", want: "KEY=new  # why\n"},
		"nothing but a comment":   {content: "KEY=# why\n", have: "", want: "KEY=new# why\n"},
		"a # in the value":        {content: "KEY=a#b\n", have: "a#b", want: "KEY=new\n"},
		"double quotes":           {content: "KEY=\"old # x\" # why\n", have: "old # x", want: "KEY=new # why\n"},
		"single quotes":           {content: "KEY = 'old'\n", have: "old", want: "KEY = new\n"},
		"export":                  {content: "  export KEY=old\n", have: "old", want: "  export KEY=new\n"},
		"without a value":         {content: "KEY=\nA=1\n", have: "", want: "KEY=new\nA=1\n"},
		"line ends of Windows":    {content: "A=1\r\nKEY=old\r\nB=2\r\n", have: "old", want: "A=1\r\nKEY=new\r\nB=2\r\n"},
		"appended on Windows":     {content: "A=1\r\n", missing: true, want: "A=1\r\nKEY=new\r\n"},
		"the last one counts":     {content: "KEY=first\nKEY=old\n", have: "old", want: "KEY=first\nKEY=new\n"},
		"inside of a long value":  {content: "PEM=\"begin\nKEY=inside\nend\"\nA=1\n", missing: true, want: "PEM=\"begin\nKEY=inside\nend\"\nA=1\nKEY=new\n"},
		"a long value":            {content: "KEY=\"begin\nend\" # why\nA=1\n", have: "begin\nend", want: "KEY=new # why\nA=1\n"},
		"a quote that never ends": {content: "A=\"x\nKEY=old\n", have: "old", want: "A=\"x\nKEY=new\n"},
		"another name's end":      {content: "MY_KEY=1\nKEY_2=1\n", missing: true, want: "MY_KEY=1\nKEY_2=1\nKEY=new\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if have, ok := Get(c.content, "KEY"); have != c.have || ok == c.missing {
				t.Errorf("Get = %q, %t, want %q", have, ok, c.have)
			}
			got := Set(c.content, "KEY", "new")
			if got != c.want {
				t.Errorf("Set = %q, want %q", got, c.want)
			}
			if value, ok := Get(got, "KEY"); c.content != "KEY=# why\n" && (!ok || value != "new") {
				t.Errorf("read back %q from %q", value, got)
			}
			if again := Set(got, "KEY", "new"); c.content != "KEY=# why\n" && again != got {
				t.Errorf("twice = %q", again)
			}
		})
	}
	if got := Set("", "KEY", "a b"); got != "KEY='a b'\n" {
		t.Errorf("with a blank: %q", got)
	}
}
