using System.Collections.Immutable;

namespace Regatta.Core;

/// <summary>A read of one key or a range. Filters and limit with 0 are not set; filters apply before the limit.</summary>
/// <param name="Limit">Most records of the whole answer, over all pages.</param>
public readonly record struct RangeQuery(
    KeyRange Keys,
    long Limit,
    bool KeysOnly,
    bool CountOnly,
    long MinModRevision = 0,
    long MaxModRevision = 0,
    long MinCreateRevision = 0,
    long MaxCreateRevision = 0);

/// <summary>One page of an answer.</summary>
/// <param name="More">At least one further matching record exists behind this page.</param>
/// <param name="Count">Records in this page; with CountOnly all that match, capped by the limit.</param>
public sealed record RangePage(ImmutableArray<KeyRecord> Records, bool More, long Count);
