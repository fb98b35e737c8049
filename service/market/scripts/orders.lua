-- Standing orders: where they are kept, and how they end. Needs time.lua and journal.lua.
--
-- An order is in the pool's hash, and, until its mark is passed, in the sorted set of its mark; then it is in
-- the list of those that are carried out next.

local function marks(pool, passes, option)
    return KEY_ORDERS .. pool .. ':' .. passes .. ':' .. option
end

local function orders_met(pool)
    return KEY_ORDERS .. pool .. ':met'
end

-- The permille that a total is of a sum, rounded down, and whether it is more than that.
-- Long division by doubling: no number is ever above the sum, so that none is rounded.
local function permille(total, sum)
    local quotient, rest = 0, 0
    local function add(value)
        if rest >= sum - value then
            rest = rest - (sum - value)
            quotient = quotient + 1
        else
            rest = rest + value
        end
    end
    for _, bit in ipairs({ 1, 1, 1, 1, 1, 0, 1, 0, 0, 0 }) do
        quotient = quotient * 2
        add(rest)
        if bit == 1 then
            add(total)
        end
    end
    return quotient, rest > 0
end

-- Each option's share of a pool: the highest mark that is met by `at_least`, the lowest by `at_most`.
-- Answers nil while there are no stakes.
local function shares(pool, options_count)
    local fields = {}
    for option = 1, options_count do
        fields[option] = 'total:' .. (option - 1)
    end
    local totals, sum = redis.call('HMGET', KEY_POOL .. pool, unpack(fields)), 0
    for option = 1, options_count do
        sum = sum + totals[option]
    end
    if sum == 0 then
        return nil
    end
    local answer = {}
    for option = 1, options_count do
        local share, more = permille(tonumber(totals[option]), sum)
        answer[option - 1] = { at_least = share, at_most = more and share + 1 or share }
    end
    return answer
end

local function forget_order(member, order)
    local user = member:match('^%S+')
    redis.call('HDEL', KEY_ORDERS .. order.pool, member)
    redis.call('ZREM', marks(order.pool, order.when.passes, integer(order.when.option)), member)
    redis.call('SREM', KEY_ORDERS_OF .. user, order.pool .. ' ' .. order.key)
end

-- Ends an order that is not carried out; the key stays used.
local function end_order(kind, member, order, ...)
    local user = member:match('^%S+')
    journal(kind, user, 'key', order.key, 'game', order.game, 'pool', order.pool,
        'option', integer(order.option), 'stake', integer(order.stake), ...)
    forget_order(member, order)
    redis.call('SET', KEY_RECEIPT .. user .. ':' .. order.key, kind .. ' ' .. order.pool .. '|',
        'PX', RECEIPT_LIFETIME_MS)
end

-- Ends orders of a pool that takes no more predictions, a batch at a time: the flush goes on with the others.
-- Answers how soon (ms), 0 when none is left. For the script that closes a pool, after it changed the status.
local function lapse_orders(pool)
    local fields = redis.call('HRANDFIELD', KEY_ORDERS .. pool, ORDERS_BATCH, 'WITHVALUES')
    local full = journal_is_full(#fields / 2)
    if not full then
        for index = 1, #fields, 2 do
            end_order('order_failed', fields[index], cjson.decode(fields[index + 1]),
                'body', '{"code":' .. POOL_CLOSED .. '}')
        end
    end
    if redis.call('EXISTS', KEY_ORDERS .. pool) == 1 then
        local again_ms = full and 1000 or 1
        redis.call('ZADD', KEY_DUE, integer(now_ms + again_ms), pool)
        return again_ms
    end
    redis.call('DEL', orders_met(pool))
    return 0
end
