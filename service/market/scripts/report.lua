-- Takes down how far a SQL server has the journal and how long the journal may be; tells how it stands.
--
-- ARGV  SQL server, its place or '' when it did not answer, entries that the journal may hold
-- Answers {entries, undrained ones, age of the oldest of those (ms), entries drained so far}.

redis.call('SET', KEY_JOURNAL_LIMIT, ARGV[3])
if ARGV[2] ~= '' then
    redis.call('HSET', KEY_POSITIONS, ARGV[1], ARGV[2] .. ' ' .. integer(now_ms))
end
local entries = redis.call('XLEN', KEY_JOURNAL)
local group = ledger()
local ms, sequence, drained, backlog = 0, 0, 0, entries
if group then
    ms, sequence = undrained(group)
    drained = (group['entries-read'] or 0) - group.pending
    backlog = group.pending + (group.lag or entries)
end
local next, age_ms = entry_from(ms, sequence), 0
if next then
    age_ms = math.max(0, now_ms - split(next[1]))
end
return { entries, backlog, age_ms, drained }
