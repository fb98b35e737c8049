-- Takes a stake from an account and puts it on an option of a pool: all of it or nothing.
--
-- ARGV  user, game, pool, option, stake, key, flush interval (ms)
-- Answers {0 or 1 for a duplicate, epoch, journal id, balance, ms until the pool's flush is due}, or {error code}.

local user, game, pool, option, stake, key = unpack(ARGV, 1, 6)
local state = pool_state(pool)

local kept = redis.call('GET', KEY_RECEIPT .. user .. ':' .. key)
if kept then
    local content = table.concat({ game, pool, option, stake }, ' ') .. '|'
    if kept:sub(1, #content) ~= content or kept:find(' cancelled=', #content, true) then
        return { KEY_REUSED }
    end
    local epoch_then, id, balance = kept:match('^(%S+) (%S+) (%S+)', #content + 1)
    return { 1, epoch_then, id, balance, due_in_ms(pool, state) }
end

local code, balance = refusal(state, user, game, pool, option, stake)
if code then
    return { code }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end
local id
id, balance = predict(user, key, game, pool, option, stake, balance, '')
return { 0, epoch, id, balance, due_in_ms(pool, state, tonumber(ARGV[7])) }
