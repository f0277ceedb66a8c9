"""What a scrape of /metrics says, read as strictly as its format is written down."""
import re

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9]+(?:\.[0-9]+)?)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "info": ("_info",),
             "histogram": ("_bucket", "_count", "_sum")}


class Family:
    def __init__(self, name):
        self.name = name
        self.help = self.type = self.unit = None
        self.samples = []  # (name, {label: value}, number), in order


class Scrape:
    """families: {name: Family}. Raises AssertionError where the text breaks its format."""

    def __init__(self, text, openmetrics):
        self.openmetrics = openmetrics
        self.families = {}
        self.seen = set()
        lines = text.split("\n")
        assert lines.pop() == "", "the last line doesn't end"
        if openmetrics:
            assert lines.pop() == "# EOF", "no # EOF at the end"
        family = None
        for line in lines:
            if line.startswith("# "):
                family = self._about(line, family)
            else:
                self._sample(line, family)
        for family in self.families.values():
            assert family.help and family.type, f"{family.name} has no HELP or no TYPE"
            if family.type == "histogram":
                self._check_histogram(family)

    def _about(self, line, family):
        word, name, rest = line[2:].split(" ", 2)
        assert word in ("HELP", "TYPE", "UNIT"), line
        if family is None or family.name != name:
            assert word == "HELP" and name not in self.families, f"{name} comes twice: {line}"
            family = self.families[name] = Family(name)
        attribute = word.lower()
        assert getattr(family, attribute) is None and not family.samples, line
        setattr(family, attribute, rest)
        if word == "UNIT":
            assert name.endswith("_" + rest), f"{name} doesn't end with its unit {rest}"
        return family

    def _sample(self, line, family):
        found = _SAMPLE.match(line)
        assert found and family, f"no sample: {line!r}"
        name, labels, number = found.groups()
        assert name.startswith(family.name), f"{name} among those of {family.name}"
        suffix = name.removeprefix(family.name)
        if self.openmetrics:
            assert suffix in _SUFFIXES[family.type], line
        else:
            assert suffix in (_SUFFIXES["histogram"] if family.type == "histogram" else ("",)), line
            assert (family.type == "counter") == name.endswith("_total"), line
        pairs = _LABEL.findall(labels or "")
        assert ",".join(f'{key}="{value}"' for key, value in pairs) == (labels or ""), line
        key = (name, tuple(sorted(pairs)))
        assert key not in self.seen, f"twice: {line}"
        self.seen.add(key)
        unescape = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
        family.samples.append((name, {k: re.sub(r'\\["\\n]', lambda m: unescape[m.group()], v)
                                      for k, v in pairs}, float(number)))

    def _check_histogram(self, family):
        """Buckets rise, the last is +Inf and equals the count."""
        runs = {}
        for name, labels, number in family.samples:
            rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
            runs.setdefault(rest, []).append((name.removeprefix(family.name), labels.get("le"), number))
        for samples in runs.values():
            buckets = [(float(le), number) for kind, le, number in samples if kind == "_bucket"]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), samples
            assert [n for _, n in buckets] == sorted(n for _, n in buckets), samples
            rest = {kind: number for kind, _, number in samples if kind != "_bucket"}
            assert rest["_count"] == buckets[-1][1] and "_sum" in rest, samples

    def value(self, sample, **labels):
        """The one sample of that name that has these labels; 0 where a counter has none yet."""
        found = self.values(sample, **labels)
        assert len(found) <= 1, f"{sample}{labels}: {found}"
        return found[0] if found else 0

    def values(self, sample, **labels):
        return [number for family in self.families.values() for key, have, number in family.samples
                if key == sample and labels.items() <= have.items()]

    def names(self):
        """Of all samples that there can be: also of families that have none now."""
        names = set()
        for family in self.families.values():
            if family.type == "histogram":
                names |= {family.name + suffix for suffix in _SUFFIXES["histogram"]}
            else:
                names.add(family.name)
        return names


ACCEPT_OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def scrape(client, openmetrics=False, **more):
    headers = {"Accept": ACCEPT_OPEN} if openmetrics else {}
    answer = client.get("/metrics", headers=headers, **more).expect(200)
    kind = "application/openmetrics-text" if openmetrics else "text/plain"
    assert answer.headers["Content-Type"].startswith(kind), answer.headers["Content-Type"]
    return Scrape(answer.body.decode(), openmetrics)
