namespace Regatta.Core;

/// <summary>
/// Hash over all effects of a table's history up to one revision (128 bit, not cryptographic). Two nodes of any sites with the
/// same hash at the same revision of the same incarnation have the same history.
/// </summary>
public readonly record struct ChainHash(UInt128 Value)
{
    public override string ToString() => Value.ToString("x32");
}
