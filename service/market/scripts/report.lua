-- Takes down how far a SQL server has the journal and how long the journal may be; tells how it stands.
--
-- ARGV  SQL server, its place or '' when it did not answer, entries that the journal may hold
-- Answers {entries, undrained ones, age of the oldest of those (ms), entries drained so far}.

redis.call('SET', KEY_JOURNAL_LIMIT, ARGV[3])
if ARGV[2] ~= '' then
    redis.call('HSET', KEY_POSITIONS, ARGV[1], ARGV[2] .. ' ' .. integer(now_ms))
end
return standing()
