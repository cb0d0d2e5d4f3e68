package engine

import (
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"strconv"

	"github.com/dop251/goja"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
)

const maxRows = 10_000

// selection is a query under construction. Its text is checked just before it runs.
type selection struct {
	app     core.App
	q       *dbx.SelectQuery
	raw     *dbx.Query
	records *core.Collection // of a query for records
	limit   int64            // that the script has set, or 0
}

var dbClass = new(class)

func init() {
	*dbClass = class{
		name: "DB",
		methods: merge(map[string]method{
			"newQuery": func(m *machine, v any, a args) (any, error) {
				text, app := a.str(0), v.(core.App)
				if err := checkSQL(app, text); err != nil {
					return nil, err
				}
				return wrapped{queryClass, &selection{app: app, raw: app.DB().NewQuery(text).WithContext(m.call.ctx)}}, nil
			},
			"select": func(m *machine, v any, a args) (any, error) {
				return wrapped{queryClass, &selection{app: v.(core.App), q: v.(core.App).DB().Select(a.strs(0)...).WithContext(m.call.ctx)}}, nil
			},
		}, refusals("Change records with $app.save() and $app.delete().", "insert", "update", "delete", "upsert", "createTable", "dropTable",
			"renameTable", "truncateTable", "addColumn", "dropColumn", "renameColumn", "alterColumn", "createIndex", "dropIndex", "model"),
			refusals("Use $app.runInTransaction().", "begin", "transactional", "wrap", "db", "exec", "quote")),
	}
}

var queryClass = new(class)

func init() {
	*queryClass = class{
		name: "Query",
		methods: merge(map[string]method{
			"select":    building(func(q *dbx.SelectQuery, a args) { q.Select(a.strs(0)...) }),
			"andSelect": building(func(q *dbx.SelectQuery, a args) { q.AndSelect(a.strs(0)...) }),
			"distinct":  building(func(q *dbx.SelectQuery, a args) { q.Distinct(a.at(0).ToBoolean()) }),
			"from":      building(func(q *dbx.SelectQuery, a args) { q.From(a.strs(0)...) }),
			"where":     building(func(q *dbx.SelectQuery, a args) { q.Where(a.expression(0)) }),
			"andWhere":  building(func(q *dbx.SelectQuery, a args) { q.AndWhere(a.expression(0)) }),
			"orWhere":   building(func(q *dbx.SelectQuery, a args) { q.OrWhere(a.expression(0)) }),
			"join":      building(func(q *dbx.SelectQuery, a args) { q.Join(a.joinType(), a.str(1), a.expression(2)) }),
			"innerJoin": building(func(q *dbx.SelectQuery, a args) { q.InnerJoin(a.str(0), a.expression(1)) }),
			"leftJoin":  building(func(q *dbx.SelectQuery, a args) { q.LeftJoin(a.str(0), a.expression(1)) }),
			"rightJoin": building(func(q *dbx.SelectQuery, a args) { q.RightJoin(a.str(0), a.expression(1)) }),
			"orderBy":   building(func(q *dbx.SelectQuery, a args) { q.OrderBy(a.strs(0)...) }),
			"andOrderBy": building(func(q *dbx.SelectQuery, a args) {
				q.AndOrderBy(a.strs(0)...)
			}),
			"groupBy": building(func(q *dbx.SelectQuery, a args) { q.GroupBy(a.strs(0)...) }),
			"having":  building(func(q *dbx.SelectQuery, a args) { q.Having(a.expression(0)) }),
			"limit": func(m *machine, v any, a args) (any, error) {
				if n := a.int(0); n > 0 {
					v.(*selection).limit = n
				}
				return building(func(q *dbx.SelectQuery, a args) { q.Limit(a.int(0)) })(m, v, a)
			},
			"offset": building(func(q *dbx.SelectQuery, a args) { q.Offset(a.int(0)) }),
			"bind": func(_ *machine, v any, a args) (any, error) {
				s := v.(*selection)
				params := dbx.Params(a.m.mapOf(a.at(0)))
				if s.raw != nil {
					s.raw.Bind(params)
				} else {
					s.q.Bind(params)
				}
				return wrapped{queryClass, s}, nil
			},
			"all":    results(0),
			"one":    results(1),
			"column": column,
			"row":    row,
		}, refusals("Only SELECT is allowed; change records with $app.save() and $app.delete().", "execute"),
			refusals("Use all() with an array.", "rows", "union", "unionAll", "build", "prepare", "withContext", "info")),
	}
}

func building(fn func(q *dbx.SelectQuery, a args)) method {
	return func(m *machine, v any, a args) (any, error) {
		s := v.(*selection)
		if s.q == nil {
			m.throwType("a query made of text can't be changed")
		}
		fn(s.q, a)
		return wrapped{queryClass, s}, nil
	}
}

func (a args) joinType() string {
	switch t := a.str(0); t {
	case "JOIN", "INNER JOIN", "CROSS JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "RIGHT JOIN", "RIGHT OUTER JOIN", "FULL JOIN", "FULL OUTER JOIN":
		return t
	}
	a.m.throwType("unknown kind of join")
	return ""
}

// query returns the query to run. A query for records was made by Go, with a collection that was
// checked; what scripts added to it is checked with the rest.
func (s *selection) query() (*dbx.Query, error) {
	if s.raw != nil {
		return s.raw, nil
	}
	if s.records != nil {
		return s.q.Build(), checkRecordSQL(s.app, s.records, s.q)
	}
	q := s.q.Build()
	return q, checkSQL(s.app, q.SQL())
}

// read runs the query and returns at most limit rows as texts.
func (s *selection) read(limit int) (columns []string, list []dbx.NullStringMap, err error) {
	q, err := s.query()
	if err != nil {
		return nil, nil, err
	}
	rows, err := q.Rows()
	if err != nil {
		return nil, nil, fmt.Errorf("query: %w", err)
	}
	defer rows.Close()
	if columns, err = rows.Columns(); err != nil {
		return nil, nil, fmt.Errorf("query: %w", err)
	}
	for rows.Next() {
		if len(list) == limit {
			if limit == 1 {
				break
			}
			return nil, nil, fmt.Errorf("more than %d rows; use a limit", maxRows)
		}
		r := dbx.NullStringMap{}
		if err := rows.ScanMap(r); err != nil {
			return nil, nil, fmt.Errorf("query: %w", err)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("query: %w", err)
	}
	return columns, list, nil
}

func results(limit int) method {
	return func(m *machine, v any, a args) (any, error) {
		s := v.(*selection)
		into, ok := a.at(0).(*goja.Object)
		if !ok {
			m.throwType("the result goes into a model or an array")
		}
		if s.records != nil {
			return undefined{}, s.readRecords(m, into, limit == 1)
		}
		shape := m.call.shapes[into]
		if shape == nil {
			m.throwType("the result goes into a DynamicModel, or into arrayOf() one")
		}
		n := maxRows
		if limit > 0 {
			n = limit
		}
		_, rows, err := s.read(n)
		if err != nil {
			return nil, err
		}
		if limit == 1 {
			if len(rows) == 0 {
				return nil, sql.ErrNoRows
			}
			shape.fill(m, into, rows[0])
			return undefined{}, nil
		}
		for i, r := range rows {
			o := m.vm.NewObject()
			shape.fill(m, o, r)
			_ = into.Set(itoa(i), o)
		}
		return undefined{}, into.Set("length", len(rows))
	}
}

func (s *selection) readRecords(m *machine, into *goja.Object, one bool) error {
	if _, err := s.query(); err != nil {
		return err
	}
	var records []*core.Record
	if one {
		f := unwrap(into)
		if f == nil || !f.class.is(recordClass) {
			return errors.New("one() of records needs a new Record()")
		}
		if err := s.q.Limit(1).All(&records); err != nil {
			return err
		}
		if len(records) == 0 {
			return sql.ErrNoRows
		}
		f.value = records[0]
		return nil
	}
	if s.limit == 0 || s.limit > maxRecords {
		s.q.Limit(maxRecords + 1)
	}
	if err := s.q.All(&records); err != nil {
		return err
	}
	if err := limited(nil, &records); err != nil {
		return err
	}
	for i, r := range records {
		_ = into.Set(itoa(i), m.toJS(r))
	}
	return into.Set("length", len(records))
}

func column(m *machine, v any, a args) (any, error) {
	into, ok := a.at(0).(*goja.Object)
	if !ok {
		m.throwType("the result goes into an array")
	}
	columns, rows, err := v.(*selection).read(maxRows)
	if err != nil || len(columns) == 0 {
		return nil, err
	}
	for i, r := range rows {
		_ = into.Set(itoa(i), r[columns[0]].String)
	}
	return undefined{}, into.Set("length", len(rows))
}

func row(_ *machine, v any, _ args) (any, error) {
	columns, rows, err := v.(*selection).read(1)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, sql.ErrNoRows
	}
	list := make([]any, len(columns))
	for i, c := range columns {
		list[i] = rows[0][c].String
	}
	return list, nil
}

// shape is what a DynamicModel was made with: the type of each field.
type shape map[string]any

func (s shape) fill(m *machine, o *goja.Object, r dbx.NullStringMap) {
	keys := make([]string, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		_ = o.Set(k, m.toJS(typedValue(s[k], r[k])))
	}
}

// nullable stands for a field that may be null; it holds an example.
type nullable struct{ of any }

func typedValue(example any, v sql.NullString) any {
	if n, ok := example.(*nullable); ok {
		if !v.Valid {
			return nil
		}
		example = n.of
	}
	switch example.(type) {
	case int64, float64:
		f, _ := strconv.ParseFloat(v.String, 64)
		return f
	case bool:
		return v.String == "1" || v.String == "true"
	case []any, map[string]any:
		var data any
		if decode([]byte(v.String), &data) != nil {
			return example
		}
		return data
	}
	return v.String
}

// maxTerms is how many expressions may be in each other: building them recurses.
const maxTerms = 1000

// expression is one of $dbx with the number of expressions in it.
type expression struct {
	dbx.Expression
	terms int
}

// terms counts what the arguments hold.
func (a args) terms() int {
	n := 1
	for i := range a.list {
		if f := unwrap(a.list[i]); f != nil && f.class == expressionClass {
			n += f.value.(*expression).terms
		}
	}
	if n > maxTerms {
		a.m.throwRange("the expression is nested too deeply")
	}
	return n
}

// dbxObject makes $dbx.
func (m *machine) dbxObject() {
	o := m.vm.NewObject()
	for name, fn := range map[string]func(a args) dbx.Expression{
		"exp":     func(a args) dbx.Expression { return dbx.NewExp(a.str(0), a.params(1)...) },
		"hashExp": func(a args) dbx.Expression { return a.hashExp() },
		"not":     func(a args) dbx.Expression { return dbx.Not(a.expression(0)) },
		"and":     func(a args) dbx.Expression { return dbx.And(a.expressions(0)...) },
		"or":      func(a args) dbx.Expression { return dbx.Or(a.expressions(0)...) },
		"in":      func(a args) dbx.Expression { return dbx.In(a.str(0), a.values(1)...) },
		"notIn":   func(a args) dbx.Expression { return dbx.NotIn(a.str(0), a.values(1)...) },
		"like":    func(a args) dbx.Expression { return dbx.Like(a.str(0), a.strs(1)...) },
		"orLike":  func(a args) dbx.Expression { return dbx.OrLike(a.str(0), a.strs(1)...) },
		"notLike": func(a args) dbx.Expression { return dbx.NotLike(a.str(0), a.strs(1)...) },
		"orNotLike": func(a args) dbx.Expression {
			return dbx.OrNotLike(a.str(0), a.strs(1)...)
		},
		"exists":     func(a args) dbx.Expression { return dbx.Exists(a.expression(0)) },
		"notExists":  func(a args) dbx.Expression { return dbx.NotExists(a.expression(0)) },
		"between":    func(a args) dbx.Expression { return dbx.Between(a.str(0), a.value(1), a.value(2)) },
		"notBetween": func(a args) dbx.Expression { return dbx.NotBetween(a.str(0), a.value(1), a.value(2)) },
	} {
		m.hidden(o, name, m.native(name, func(call goja.FunctionCall) goja.Value {
			a := args{m: m, list: call.Arguments}
			return m.wrap(expressionClass, &expression{fn(a), a.terms()})
		}))
	}
	m.freeze(o)
	m.set("$dbx", o)
}

var expressionClass = new(class)

func init() {
	*expressionClass = class{name: "Expression", methods: map[string]method{
		// match tells where like() lets anything stand: before and after the text.
		"match": func(m *machine, v any, a args) (any, error) {
			x := v.(*expression)
			like, ok := x.Expression.(*dbx.LikeExp)
			if !ok {
				m.throwType("match is for like, orLike, notLike and orNotLike")
			}
			return wrapped{expressionClass, &expression{like.Match(a.at(0).ToBoolean(), a.at(1).ToBoolean()), x.terms}}, nil
		},
	}}
}

func (a args) expression(i int) dbx.Expression {
	if absent(a.at(i)) {
		return nil
	}
	if f := unwrap(a.at(i)); f != nil && f.class == expressionClass {
		f.alive()
		return f.value.(*expression).Expression
	}
	a.m.throwType("this needs an expression of $dbx")
	return nil
}

// expressions are checked here, because what finds records does not go through selection.query.
func (a args) expressions(from int) []dbx.Expression {
	var list []dbx.Expression
	for i := from; i < len(a.list); i++ {
		if e := a.expression(i); e != nil {
			text := e.Build(dbx.NewFromDB(nil, "sqlite"), dbx.Params{})
			if text != "" {
				a.m.check(checkSQL(a.m.call.app, "select 1 where "+text))
			}
			list = append(list, e)
		}
	}
	return list
}

// hashExp compares fields with values, or leaves them to expressions.
func (a args) hashExp() dbx.Expression {
	h := dbx.HashExp{}
	for k, v := range a.m.fieldsOf(a.at(0)) {
		switch v := v.(type) {
		case *expression:
			if v.terms > 1 {
				a.m.throwType("an expression in hashExp must be a simple one")
			}
			h[k] = v.Expression
		case *core.Record, *filesystem.File, error:
			a.m.throwType("hashExp compares with texts, numbers and lists of them")
		default:
			h[k] = v
		}
	}
	return h
}

// matching is a query for the records of a collection that meet all expressions.
func (a args) matching(app core.App) (*dbx.SelectQuery, error) {
	c := a.collection(app)
	q := app.RecordQuery(c).WithContext(a.m.call.ctx)
	for _, e := range a.expressions(1) {
		q.AndWhere(e)
	}
	return q, checkRecordSQL(app, c, q)
}

func (a args) values(from int) []any {
	var list []any
	for i := from; i < len(a.list); i++ {
		if items, ok := a.value(i).([]any); ok {
			list = append(list, items...)
		} else {
			list = append(list, a.value(i))
		}
	}
	return list
}
